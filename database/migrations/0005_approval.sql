-- Builds that wait until somebody approves them, in a lane of their own that no worker is given: src/approve.rs.
ALTER TABLE builds ADD COLUMN is_held BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE builds ADD COLUMN approved_by TEXT;
