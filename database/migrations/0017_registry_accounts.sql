-- Accounts of the embedded registry, their rights and tokens, and who changed what there.

CREATE TABLE registry_accounts (
    name          TEXT PRIMARY KEY,
    is_robot      BOOLEAN NOT NULL,
    password_hash TEXT NOT NULL,
    created_ms    BIGINT NOT NULL,
    expires_ms    BIGINT
);

-- The account '' is everybody, also without a login.
CREATE TABLE registry_rights (
    account TEXT NOT NULL,
    pattern TEXT NOT NULL,
    actions TEXT NOT NULL,
    PRIMARY KEY (account, pattern)
);

CREATE TABLE registry_refresh_tokens (
    hash       TEXT PRIMARY KEY,
    account    TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);

CREATE INDEX registry_refresh_tokens_by_account ON registry_refresh_tokens (account);

CREATE TABLE registry_changes (
    id         INTEGER PRIMARY KEY,
    at_ms      BIGINT NOT NULL,
    account    TEXT NOT NULL,
    address    TEXT NOT NULL,
    action     TEXT NOT NULL,
    repository TEXT NOT NULL,
    reference  TEXT NOT NULL,
    digest     TEXT NOT NULL
);

CREATE INDEX registry_changes_by_repository ON registry_changes (repository, id);
CREATE INDEX registry_changes_by_account ON registry_changes (account, id);
