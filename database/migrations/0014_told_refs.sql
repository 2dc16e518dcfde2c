-- What deliveries last told of each ref, NULL for one that was deleted; 'HEAD' names the default branch. It tells a push that
-- has the bytes of an earlier one from the same push told twice: deliveries/reported_refs.rs.

CREATE TABLE told_refs (
    repository  TEXT NOT NULL,
    git_ref     TEXT NOT NULL,
    head        TEXT,
    PRIMARY KEY (repository, git_ref)
);

INSERT INTO told_refs (repository, git_ref, head)
    SELECT p.repository, p.git_ref, p.after_id FROM pushes p WHERE p.is_tail AND NOT EXISTS
        (SELECT 1 FROM pushes later WHERE later.repository = p.repository AND later.git_ref = p.git_ref AND later.sequence > p.sequence)
    ON CONFLICT DO NOTHING;
