-- Schedules that stand in repositories' own files, by the branch or tag that they stand on: src/schedule.rs.
CREATE TABLE own_schedules (
    repository     TEXT NOT NULL,
    git_ref        TEXT NOT NULL,
    -- The lookup that read the file: one that is answered late does not bring an older file back.
    lookup_id      BIGINT NOT NULL,
    schedules_json TEXT NOT NULL,
    PRIMARY KEY (repository, git_ref)
);
