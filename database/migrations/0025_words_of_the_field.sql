-- Words of the field: a rules fetch reads a repository's own rules, a worker query is answered by a worker while a request
-- waits, a ref poll asks for the refs of a repository, a notification goes to a repository's webhook or to an endpoint of the registry.
ALTER TABLE lookups RENAME TO rules_fetches;
ALTER TABLE rules_fetches RENAME COLUMN lookup_json TO rules_fetch_json;
ALTER TABLE own_schedules RENAME COLUMN lookup_id TO rules_fetch_id;
ALTER TABLE questions RENAME TO worker_queries;
ALTER TABLE worker_queries RENAME COLUMN question_json TO query_json;
ALTER TABLE notices RENAME TO notifications;
ALTER TABLE registry_notices RENAME TO registry_notifications;
ALTER TABLE looks RENAME TO ref_polls;
