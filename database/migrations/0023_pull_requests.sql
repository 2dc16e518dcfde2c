-- Images of pull requests that a merge takes over: history/builds.rs.
CREATE INDEX builds_of_pulls ON builds (repository, rule, id)
    WHERE state = 'succeeded' AND trigger_kind IN ('pull_request', 'retry');

-- Tags of pull requests, which are removed when they are closed or the time is up: tags/pull_tag.rs.
CREATE TABLE pull_tags (
    tag        TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    git_ref    TEXT NOT NULL,
    remove_ms  BIGINT NOT NULL,
    -- How often the registry was asked in vain.
    tries      BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX pull_tags_due ON pull_tags (remove_ms, tag);
CREATE INDEX pull_tags_by_ref ON pull_tags (repository, git_ref);
