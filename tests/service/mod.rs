//! The service: deliveries, rules, the API, pages, what forges and webhooks are told.

pub mod api;
pub mod base_images;
pub mod commit_statuses;
pub mod configuration_page;
pub mod configuration_safety;
pub mod documentation;
pub mod documented_answers;
pub mod dry_run;
pub mod explain;
pub mod forges;
pub mod hooks;
pub mod openapi;
pub mod own_rules;
pub mod pages;
pub mod path_filters;
pub mod profiles;
pub mod pull_requests;
pub mod push;
pub mod reconcile;
pub mod registry_accounts;
pub mod rules_fetch;
pub mod server_process;
pub mod start_latency;
pub mod unchanged_images;
pub mod usage;
pub mod webhooks;
