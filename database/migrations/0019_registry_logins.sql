-- A refresh token is tied to the password that it was got with. Of those that are there nobody knows which password that was.
DELETE FROM registry_refresh_tokens;
ALTER TABLE registry_refresh_tokens ADD COLUMN login TEXT NOT NULL DEFAULT '';

CREATE INDEX registry_changes_by_time ON registry_changes (at_ms);
