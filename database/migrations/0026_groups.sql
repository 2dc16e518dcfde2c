-- Builds of several targets: the build of a rule with a bake file is a group, and each target is a build of its own. src/queue/group.rs.
ALTER TABLE builds ADD COLUMN group_id TEXT;
ALTER TABLE builds ADD COLUMN targets_json TEXT;
CREATE INDEX builds_of_group ON builds (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX builds_with_targets ON builds (id) WHERE targets_json IS NOT NULL;
CREATE INDEX builds_open_groups ON builds (id) WHERE state = 'building' AND worker IS NULL;
