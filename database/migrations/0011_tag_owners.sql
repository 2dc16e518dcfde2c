-- The build that moved a tag last: of several refs with the same tag the one whose build was asked for last has it.
ALTER TABLE tags ADD COLUMN moved_by TEXT;
