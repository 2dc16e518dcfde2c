-- A look at what the refs of a repository name, from time to time: src/look.rs. `known_json` is what the look before
-- found, `answer_json` what a worker found now and nobody has compared yet.
CREATE TABLE looks (
    repository     TEXT PRIMARY KEY,
    clone_url      TEXT NOT NULL,
    pause_ms       BIGINT NOT NULL,
    due_ms         BIGINT NOT NULL,
    attempt        BIGINT NOT NULL DEFAULT 0,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    asked_ms       BIGINT NOT NULL DEFAULT 0,
    answer_json    TEXT,
    known_json     TEXT,
    compared_ms    BIGINT,
    failures       BIGINT NOT NULL DEFAULT 0,
    problem        TEXT
);

-- Pushes that no delivery told of: the delivery that comes late is for the builds that they have already.
ALTER TABLE pushes ADD COLUMN is_found BOOLEAN NOT NULL DEFAULT FALSE;

-- How often it was checked since it moved that a tag shows what it must, when it is checked next, and what was found.
ALTER TABLE tags ADD COLUMN checks BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tags ADD COLUMN retries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tags ADD COLUMN check_ms BIGINT;
ALTER TABLE tags ADD COLUMN note TEXT;

CREATE INDEX tags_by_check ON tags (check_ms) WHERE check_ms IS NOT NULL;
