-- Times are milliseconds since 1970, UTC. Documents are JSON text.

CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY,
    forge       TEXT NOT NULL,
    delivery    TEXT NOT NULL,
    event       TEXT NOT NULL,
    repository  TEXT NOT NULL,
    body_hash   TEXT NOT NULL,
    body        BLOB NOT NULL,
    ignored     TEXT,
    created_ms  BIGINT NOT NULL,
    UNIQUE (forge, repository, delivery),
    UNIQUE (forge, repository, event, body_hash)
);

CREATE TABLE sequences (
    repository  TEXT NOT NULL,
    git_ref     TEXT NOT NULL,
    last        BIGINT NOT NULL,
    PRIMARY KEY (repository, git_ref)
);

CREATE TABLE builds (
    id               TEXT PRIMARY KEY,
    number           BIGINT NOT NULL,
    delivery_id      BIGINT REFERENCES deliveries (id),
    repository       TEXT NOT NULL,
    rule             TEXT NOT NULL,
    commit_message   TEXT NOT NULL,
    trigger_json     TEXT NOT NULL,
    spec_json        TEXT NOT NULL,
    git_ref          TEXT NOT NULL,
    sequence         BIGINT NOT NULL,
    state            TEXT NOT NULL,
    attempt          BIGINT NOT NULL DEFAULT 0,
    worker           TEXT,
    lease_until_ms   BIGINT,
    not_before_ms    BIGINT NOT NULL DEFAULT 0,
    commit_id        TEXT,
    reason_json      TEXT,
    image_json       TEXT,
    created_ms       BIGINT NOT NULL,
    started_ms       BIGINT,
    finished_ms      BIGINT,
    version          BIGINT NOT NULL DEFAULT 1,
    cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
    log_bytes        BIGINT NOT NULL DEFAULT 0,
    UNIQUE (repository, number)
);

CREATE INDEX builds_by_repository ON builds (repository, id);
CREATE INDEX builds_queued ON builds (id) WHERE state = 'queued';
CREATE INDEX builds_running ON builds (repository) WHERE worker IS NOT NULL;
CREATE INDEX builds_by_delivery ON builds (delivery_id);

CREATE TABLE steps (
    build_id    TEXT NOT NULL REFERENCES builds (id),
    number      BIGINT NOT NULL,
    step_json   TEXT NOT NULL,
    PRIMARY KEY (build_id, number)
);

CREATE TABLE logs (
    build_id    TEXT NOT NULL REFERENCES builds (id),
    start       BIGINT NOT NULL,
    length      BIGINT NOT NULL,
    step        BIGINT,
    content     BLOB NOT NULL,
    at_ms       BIGINT NOT NULL,
    PRIMARY KEY (build_id, start)
);

CREATE TABLE idempotency_keys (
    repository  TEXT NOT NULL,
    name        TEXT NOT NULL,
    body_hash   TEXT NOT NULL,
    builds_json TEXT NOT NULL,
    created_ms  BIGINT NOT NULL,
    PRIMARY KEY (repository, name)
);

-- Commit statuses to be told: written in the transaction that changes the state.
CREATE TABLE statuses (
    id            INTEGER PRIMARY KEY,
    build_id      TEXT NOT NULL REFERENCES builds (id),
    repository    TEXT NOT NULL,
    commit_id     TEXT NOT NULL,
    rule          TEXT NOT NULL,
    state         TEXT NOT NULL,
    description   TEXT NOT NULL,
    tries         BIGINT NOT NULL DEFAULT 0,
    due_ms        BIGINT NOT NULL
);

CREATE INDEX statuses_due ON statuses (due_ms, id);

CREATE TABLE cached_layers (
    namespace   TEXT NOT NULL,
    name        TEXT NOT NULL,
    layer_json  TEXT NOT NULL,
    PRIMARY KEY (namespace, name)
);

-- Which build a mutable tag shows: it only ever moves to a later one of the same ref.
CREATE TABLE tags (
    tag                TEXT NOT NULL,
    repository         TEXT NOT NULL,
    git_ref            TEXT NOT NULL,
    intended_sequence  BIGINT NOT NULL,
    published_sequence BIGINT NOT NULL DEFAULT 0,
    digest             TEXT,
    PRIMARY KEY (tag, repository, git_ref)
);
