-- Retention: src/retention. When the log of a build was removed, and how much of what was removed ever.
ALTER TABLE builds ADD COLUMN log_removed_ms BIGINT;

CREATE TABLE removals (
    what   TEXT PRIMARY KEY,
    amount BIGINT NOT NULL
);

-- Which builds tags name: their records are kept.
CREATE INDEX tags_by_mover ON tags (repository, moved_by);
