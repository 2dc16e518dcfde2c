-- What a worker found odd about the commit, a list of sentences.
ALTER TABLE builds ADD COLUMN warnings_json TEXT;
