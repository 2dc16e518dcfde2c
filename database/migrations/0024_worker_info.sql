-- What a worker says of itself: version, platform, disk, missing protections. src/queue/workers.rs.
ALTER TABLE workers ADD COLUMN info_json TEXT;
