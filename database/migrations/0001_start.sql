-- Times are milliseconds since 1970, UTC. Documents are JSON text. Written for SQLite; src/schema.rs says how PostgreSQL reads it.

CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY,
    forge        TEXT NOT NULL,
    delivery     TEXT NOT NULL,
    event        TEXT NOT NULL,
    repository   TEXT NOT NULL,
    body_hash    TEXT NOT NULL,
    body         BLOB NOT NULL,
    ignored      TEXT,
    explain_json TEXT NOT NULL,
    created_ms   BIGINT NOT NULL,
    UNIQUE (forge, repository, delivery),
    UNIQUE (forge, repository, event, body_hash)
);

CREATE INDEX deliveries_by_repository ON deliveries (repository, id);

-- Counters of a repository: 'document' counts the versions of its document, a ref the order of its pushes.
CREATE TABLE sequences (
    repository  TEXT NOT NULL,
    name        TEXT NOT NULL,
    last        BIGINT NOT NULL,
    PRIMARY KEY (repository, name)
);

-- What was pushed to a ref, in the order of the commits: src/chain.rs.
CREATE TABLE pushes (
    id           INTEGER PRIMARY KEY,
    delivery_id  BIGINT NOT NULL REFERENCES deliveries (id),
    repository   TEXT NOT NULL,
    git_ref      TEXT NOT NULL,
    before_id    TEXT,
    after_id     TEXT NOT NULL,
    sequence     BIGINT NOT NULL,
    segment      BIGINT NOT NULL,
    is_head      BOOLEAN NOT NULL,
    is_tail      BOOLEAN NOT NULL,
    created_ms   BIGINT NOT NULL
);

CREATE INDEX pushes_by_after ON pushes (repository, git_ref, after_id);
CREATE INDEX pushes_heads ON pushes (repository, git_ref, before_id) WHERE is_head;
CREATE INDEX pushes_by_segment ON pushes (repository, git_ref, segment);
CREATE INDEX pushes_by_delivery ON pushes (delivery_id);

-- `lane`: builds of a lane wait for one another, in a serial one for the end of the one before as well.
CREATE TABLE builds (
    id               TEXT PRIMARY KEY,
    number           BIGINT NOT NULL,
    delivery_id      BIGINT REFERENCES deliveries (id),
    push_id          BIGINT REFERENCES pushes (id),
    repository       TEXT NOT NULL,
    rule             TEXT NOT NULL,
    commit_message   TEXT NOT NULL,
    trigger_kind     TEXT NOT NULL,
    trigger_json     TEXT NOT NULL,
    spec_json        TEXT NOT NULL,
    git_ref          TEXT NOT NULL,
    sequence         BIGINT NOT NULL,
    lane             TEXT NOT NULL,
    is_serial        BOOLEAN NOT NULL,
    priority         BIGINT NOT NULL,
    state            TEXT NOT NULL,
    attempt          BIGINT NOT NULL DEFAULT 0,
    forgiven         BIGINT NOT NULL DEFAULT 0,
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
CREATE INDEX builds_by_commit ON builds (commit_id, id);
CREATE INDEX builds_by_delivery ON builds (delivery_id);
CREATE INDEX builds_by_push ON builds (push_id);
CREATE INDEX builds_queued ON builds (lane, priority DESC, id) WHERE state = 'queued';
CREATE INDEX builds_queued_by_id ON builds (id) WHERE state = 'queued';
CREATE INDEX builds_queued_by_rule ON builds (repository, rule, git_ref, sequence) WHERE state = 'queued';
CREATE INDEX builds_running ON builds (repository) WHERE worker IS NOT NULL;
CREATE INDEX builds_by_rule ON builds (repository, rule, git_ref, sequence);
CREATE INDEX builds_by_end ON builds (finished_ms) WHERE state = 'succeeded';
-- Two workers cannot run builds of one serial lane, whatever they believed when they looked.
CREATE UNIQUE INDEX builds_running_in_lane ON builds (lane) WHERE worker IS NOT NULL AND is_serial;

-- When a repository was last given a worker: those that waited longest are next.
CREATE TABLE turns (
    repository  TEXT PRIMARY KEY,
    served_ms   BIGINT NOT NULL
);

CREATE TABLE switches (
    name        TEXT PRIMARY KEY,
    is_on       BOOLEAN NOT NULL
);

CREATE TABLE workers (
    name        TEXT PRIMARY KEY,
    slots       BIGINT NOT NULL,
    seen_ms     BIGINT NOT NULL
);

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

-- Repositories' own rules, to be read by a worker and turned into builds by the service.
CREATE TABLE lookups (
    id             INTEGER PRIMARY KEY,
    delivery_id    BIGINT REFERENCES deliveries (id),
    lookup_json    TEXT NOT NULL,
    state          TEXT NOT NULL,
    attempt        BIGINT NOT NULL DEFAULT 0,
    worker         TEXT,
    lease_until_ms BIGINT,
    answer_json    TEXT
);

CREATE INDEX lookups_by_state ON lookups (state, id);
CREATE INDEX lookups_by_delivery ON lookups (delivery_id);

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
CREATE INDEX statuses_by_build ON statuses (build_id, id);

CREATE TABLE cached_layers (
    namespace   TEXT NOT NULL,
    name        TEXT NOT NULL,
    layer_json  TEXT NOT NULL,
    PRIMARY KEY (namespace, name)
);

-- Which build a mutable tag shows, and which attempt is about to move it: src/publish.rs.
CREATE TABLE tags (
    tag             TEXT NOT NULL,
    repository      TEXT NOT NULL,
    git_ref         TEXT NOT NULL,
    sequence        BIGINT NOT NULL DEFAULT 0,
    digest          TEXT,
    moved_ms        BIGINT,
    holder          TEXT,
    holder_attempt  BIGINT,
    held_until_ms   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tag, repository, git_ref)
);

CREATE INDEX tags_by_holder ON tags (holder) WHERE holder IS NOT NULL;

CREATE TABLE repositories (
    name          TEXT PRIMARY KEY,
    document_json TEXT NOT NULL,
    version       BIGINT NOT NULL,
    changed_ms    BIGINT NOT NULL
);

CREATE TABLE tokens (
    name              TEXT PRIMARY KEY,
    hash              TEXT NOT NULL UNIQUE,
    scopes_json       TEXT NOT NULL,
    repositories_json TEXT NOT NULL,
    created_ms        BIGINT NOT NULL,
    expires_ms        BIGINT,
    last_used_ms      BIGINT,
    revoked_ms        BIGINT
);

CREATE TABLE secrets (
    repository  TEXT NOT NULL,
    name        TEXT NOT NULL,
    sealed      BLOB NOT NULL,
    changed_ms  BIGINT NOT NULL,
    PRIMARY KEY (repository, name)
);

CREATE TABLE schedule_runs (
    repository  TEXT NOT NULL,
    rule        TEXT NOT NULL,
    due_ms      BIGINT NOT NULL,
    PRIMARY KEY (repository, rule, due_ms)
);
