-- The processor time that the sandboxes of a build's attempts used.
ALTER TABLE traces ADD COLUMN cpu_ms BIGINT;
