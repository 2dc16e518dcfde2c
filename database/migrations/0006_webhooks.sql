-- Webhooks of repositories, as far as whoever changes a build must know them, and what they are told.

CREATE TABLE webhooks (
    repository TEXT NOT NULL,
    name       TEXT NOT NULL,
    events     TEXT NOT NULL,
    is_per_tag BOOLEAN NOT NULL,
    PRIMARY KEY (repository, name)
);

CREATE TABLE notices (
    id         TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    webhook    TEXT NOT NULL,
    build_id   TEXT NOT NULL REFERENCES builds (id),
    event      TEXT NOT NULL,
    tag        TEXT NOT NULL,
    state      TEXT NOT NULL,
    tries      BIGINT NOT NULL DEFAULT 0,
    status     BIGINT,
    problem    TEXT,
    created_ms BIGINT NOT NULL,
    due_ms     BIGINT NOT NULL,
    tried_ms   BIGINT,
    UNIQUE (build_id, webhook, event, tag)
);

CREATE INDEX notices_due ON notices (due_ms, id) WHERE state = 'pending';
CREATE INDEX notices_pending ON notices (repository, webhook, id) WHERE state = 'pending';
CREATE INDEX notices_by_repository ON notices (repository, id);
CREATE INDEX builds_by_verdict ON builds (repository, rule, git_ref, finished_ms, id)
    WHERE state IN ('succeeded', 'failed', 'errored', 'timed_out');
