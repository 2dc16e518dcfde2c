-- A PostgreSQL role for workers that sees and changes no more than building needs. Run it once as the owner of the
-- database, after a server has made the schema, and again after each upgrade that brings a new one; then
-- `\password slipway_worker`, and name the role in the `database` URL of the workers' own configuration. The server keeps
-- its own role: it makes the schema.
--
-- What such a worker cannot do: read tokens, deliveries and the documents of repositories; change what a build is to be
-- made from, who asked for it or whether it was approved; add builds; change secrets, webhooks or what was pushed.
-- What any worker can, because it is given builds of all repositories: read the logs and, with the key that it has, the
-- secrets of all of them, and say that a build has ended. Where that is too much, give those repositories a slipway of
-- their own.
DO $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'slipway_worker') THEN
        CREATE ROLE slipway_worker LOGIN;
    END IF;
END $$;

GRANT SELECT ON schema_version, switches, builds, pushes, webhooks, secrets, rules_fetches, worker_queries, ref_polls, base_images
    TO slipway_worker;
GRANT SELECT (name) ON repositories TO slipway_worker;
GRANT UPDATE (state, attempt, forgiven, worker, lease_until_ms, not_before_ms, commit_id, commit_message, sequence, push_id,
    reason_json, image_json, started_ms, finished_ms, version, log_bytes, warnings_json, targets_json) ON builds TO slipway_worker;
GRANT UPDATE (state, attempt, worker, lease_until_ms, answer_json) ON rules_fetches TO slipway_worker;
GRANT UPDATE (state, answer_json) ON worker_queries TO slipway_worker;
GRANT DELETE ON worker_queries TO slipway_worker;
GRANT UPDATE (due_ms, attempt, lease_until_ms, asked_ms, answer_json, failures, problem) ON ref_polls TO slipway_worker;
GRANT UPDATE (due_ms, attempt, failures, tag_digest, digest, seen_ms, problem) ON base_images TO slipway_worker;
GRANT SELECT, INSERT, UPDATE ON fair_share, steps, logs, cached_layers, tags, traces TO slipway_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON workers TO slipway_worker;
GRANT SELECT, INSERT ON statuses, notifications TO slipway_worker;
GRANT SELECT, INSERT, UPDATE ON pull_comments TO slipway_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON pull_tags TO slipway_worker;
