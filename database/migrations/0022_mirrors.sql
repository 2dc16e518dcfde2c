-- What endpoints are still to be told of the embedded registry.

CREATE TABLE registry_notices (
    id         INTEGER PRIMARY KEY,
    endpoint   TEXT NOT NULL,
    event      TEXT NOT NULL,
    tries      BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    due_ms     BIGINT NOT NULL
);

CREATE INDEX registry_notices_by_endpoint ON registry_notices (endpoint, id);
