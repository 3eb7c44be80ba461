//! Runs the built binary between a driven MCP client and a scriptable upstream. Each module holds
//! the promises about one family of behaviour; each test is named after the promise that it keeps.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod amocrm_composite;
mod amocrm_rest;
mod amocrm_results;
mod amocrm_sessionless;
mod amocrm_settings;
mod amocrm_sse;
mod bitrix;
mod bitrix_errors;
mod bitrix_official;
mod bitrix_rest;
mod call;
mod cancel;
mod certificates;
mod check;
mod check_sign_in;
mod client_key;
mod demo;
mod detection;
mod drop_in;
mod emulators;
mod ending;
mod era;
mod errors;
mod field;
#[cfg(unix)]
mod frozen;
// The help of Windows has another default in it, and git may have changed the line ends there.
#[cfg(not(windows))]
mod generated;
mod handshake;
mod hostile;
mod http_sse;
mod install;
mod mcp_remote;
mod misplaced;
mod neighbours;
mod notifications;
mod onec;
mod onec_errors;
mod onec_names;
mod onec_places;
mod onec_refusals;
mod onec_repairs;
mod onec_requests;
mod onec_sessions;
mod onec_settings;
mod onec_upkeep;
mod opening;
mod options;
mod outages;
mod proxy;
mod repairs;
mod replies;
mod session;
mod settings;
mod settings_file;
mod sign_in;
mod sign_in_device;
mod sign_in_elicitation;
mod sign_in_kept;
mod sign_in_shared;
mod sign_in_trust;
mod stdin;
mod streams;
mod support;
mod take_over;
mod wire;
