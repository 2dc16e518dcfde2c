-- Images of registries that builds were made from, and what their tags name now: src/base_image.rs.
CREATE TABLE base_images (
    reference      TEXT NOT NULL,
    platform       TEXT NOT NULL,
    pause_ms       BIGINT NOT NULL,
    due_ms         BIGINT NOT NULL,
    attempt        BIGINT NOT NULL DEFAULT 0,
    failures       BIGINT NOT NULL DEFAULT 0,
    tag_digest     TEXT,
    digest         TEXT,
    seen_ms        BIGINT,
    problem        TEXT,
    PRIMARY KEY (reference, platform)
);
