-- Builds that ended, by how, without reading them: src/counts.rs.
CREATE INDEX builds_ended ON builds (state) WHERE finished_ms IS NOT NULL;
