-- What a request asks workers and waits for: src/question.rs. Rows are gone when they are answered, or soon after.
CREATE TABLE questions (
    id            INTEGER PRIMARY KEY,
    question_json TEXT NOT NULL,
    state         TEXT NOT NULL,
    answer_json   TEXT,
    asked_ms      BIGINT NOT NULL
);
