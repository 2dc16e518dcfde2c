-- Statuses that a forge refused, in its own words: outbox/status_refusal.rs.
CREATE TABLE status_refusals (
    build_id    TEXT PRIMARY KEY REFERENCES builds (id),
    repository  TEXT NOT NULL,
    problem     TEXT NOT NULL,
    at_ms       BIGINT NOT NULL,
    is_current  BOOLEAN NOT NULL
);

CREATE INDEX status_refusals_by_repository ON status_refusals (repository, at_ms) WHERE is_current;

-- Statuses of commits that no build came of, because their own rules are wrong.
CREATE TABLE commit_statuses (
    id          INTEGER PRIMARY KEY,
    repository  TEXT NOT NULL,
    commit_id   TEXT NOT NULL,
    description TEXT NOT NULL,
    tries       BIGINT NOT NULL DEFAULT 0,
    due_ms      BIGINT NOT NULL
);

CREATE INDEX commit_statuses_due ON commit_statuses (due_ms, id);
