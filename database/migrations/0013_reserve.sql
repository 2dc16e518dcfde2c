-- Rows that were written to be removed: the pages they leave are the room that a file keeps for deliveries while its disk
-- is full (src/reserve.rs). A server's database has its own disk, and nothing is written here.
CREATE TABLE reserve (
    id      INTEGER PRIMARY KEY,
    content BLOB NOT NULL
);
