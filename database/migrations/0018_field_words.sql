-- Words of the field: builds of a concurrency group wait for one another; fair share gives the next worker to the repository
-- whose builds waited longest.
ALTER TABLE builds RENAME COLUMN lane TO concurrency_group;
ALTER TABLE builds RENAME COLUMN is_held TO awaits_approval;
ALTER TABLE turns RENAME TO fair_share;
ALTER TABLE fair_share RENAME COLUMN served_ms TO last_started_ms;
