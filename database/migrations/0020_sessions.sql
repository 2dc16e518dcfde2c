-- Sessions of people who signed in on a page with a token. Only hashes are stored.

CREATE TABLE sessions (
    hash       TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);

CREATE INDEX sessions_by_token ON sessions (token_hash);
