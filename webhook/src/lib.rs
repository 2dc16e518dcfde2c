//! HTTP for people and forges: deliveries, rules, triggers, status, logs
#![forbid(unsafe_code)]
