-- People and service accounts, what they may do, the tokens that they made, and who did what.

CREATE TABLE identities (
    id         INTEGER PRIMARY KEY,
    provider   TEXT NOT NULL,
    subject    TEXT NOT NULL,
    name       TEXT NOT NULL,
    login      TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    seen_ms    BIGINT NOT NULL
);

CREATE UNIQUE INDEX identities_by_subject ON identities (provider, subject);

CREATE TABLE identity_rights (
    identity BIGINT NOT NULL,
    pattern  TEXT NOT NULL,
    scope    TEXT NOT NULL,
    PRIMARY KEY (identity, pattern)
);

ALTER TABLE sessions ADD COLUMN identity BIGINT;
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN browser TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_by_identity ON sessions (identity);

ALTER TABLE tokens ADD COLUMN identity BIGINT;
CREATE INDEX tokens_by_identity ON tokens (identity);

-- Logins of the command line that wait for somebody's confirmation on a page.
CREATE TABLE device_logins (
    hash       TEXT PRIMARY KEY,
    user_code  TEXT NOT NULL,
    name       TEXT NOT NULL,
    address    TEXT NOT NULL,
    identity   BIGINT,
    expires_ms BIGINT NOT NULL
);

CREATE UNIQUE INDEX device_logins_by_user_code ON device_logins (user_code);

CREATE TABLE audit_log (
    id         INTEGER PRIMARY KEY,
    at_ms      BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    address    TEXT NOT NULL,
    action     TEXT NOT NULL,
    repository TEXT NOT NULL,
    subject    TEXT NOT NULL
);

CREATE INDEX audit_log_by_time ON audit_log (at_ms);
CREATE INDEX audit_log_by_actor ON audit_log (actor, id);
CREATE INDEX audit_log_by_repository ON audit_log (repository, id);
