-- Where the time of a build went: its last attempt's trace for Chrome's viewer, and the work that its end waited for.
CREATE TABLE traces (
    build_id      TEXT PRIMARY KEY REFERENCES builds (id),
    critical_json TEXT NOT NULL,
    trace_json    TEXT NOT NULL
);
