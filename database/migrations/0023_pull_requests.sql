-- Images of pull requests that a merge takes over: history/builds.rs.
CREATE INDEX builds_of_pulls ON builds (repository, rule, id)
    WHERE state = 'succeeded' AND trigger_kind IN ('pull_request', 'retry');

-- Tags of pull requests, which are removed when they are closed or the time is up: tags/pull_tag.rs.
CREATE TABLE pull_tags (
    tag        TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    git_ref    TEXT NOT NULL,
    remove_ms  BIGINT NOT NULL,
    -- How often the registry was asked in vain.
    tries      BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX pull_tags_due ON pull_tags (remove_ms, tag);
CREATE INDEX pull_tags_by_ref ON pull_tags (repository, git_ref);

-- The comment on each pull request that tells of its image: outbox/pull_comment.rs.
CREATE TABLE pull_comments (
    id         INTEGER PRIMARY KEY,
    repository TEXT NOT NULL,
    number     BIGINT NOT NULL,
    git_ref    TEXT NOT NULL,
    -- The build that ended last.
    build_id   TEXT NOT NULL,
    -- Stands in the comment, which is found by it when an answer was lost.
    nonce      TEXT NOT NULL,
    -- The forge's id of it.
    comment_id TEXT,
    -- Whether it may be there though its id is not known.
    is_posting BOOLEAN NOT NULL DEFAULT FALSE,
    -- Grows with each change that the comment does not tell yet.
    version    BIGINT NOT NULL DEFAULT 0,
    tries      BIGINT NOT NULL DEFAULT 0,
    -- When it is sent; null if it tells everything.
    due_ms     BIGINT,
    -- Why the forge did not take it.
    problem    TEXT,
    at_ms      BIGINT,
    UNIQUE (repository, number)
);

CREATE INDEX pull_comments_due ON pull_comments (due_ms, id) WHERE due_ms IS NOT NULL;
CREATE INDEX pull_comments_of_build ON pull_comments (build_id);

-- The ids that forges have for repositories, which stay when they are renamed: deliveries/forge_repository.rs.
CREATE TABLE forge_repositories (
    repository   TEXT PRIMARY KEY,
    -- The forge that told it.
    forge        TEXT NOT NULL,
    forge_id     TEXT NOT NULL,
    -- The forge's name of the repository, as it was told last.
    forge_name   TEXT NOT NULL,
    -- When that name became another one than the server has; null if it is the same.
    moved_ms     BIGINT,
    -- Whether the forge itself says so.
    is_confirmed BOOLEAN NOT NULL DEFAULT FALSE
);

-- One delivery is stored for each repository that it is for: they are found by its id.
CREATE INDEX deliveries_by_delivery ON deliveries (delivery);
