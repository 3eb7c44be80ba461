//! The environment variables of the scripts that the three services came with: a person who moves
//! from a script to this program changes only `command` in the client's configuration. Our own
//! options win over them.

use std::ffi::OsString;
use std::time::Duration;

use super::values::{seconds, variable};
use crate::logging::LogLevel;
use crate::setup::SetupError;
use crate::upstream::{Kind, LeadDefaults};

/// Where each script looks for its service.
const URLS: [(Kind, &str); 3] = [
    (Kind::OneC, "MCP_ONEC_URL"),
    (Kind::Bitrix, "MCP_PROXY_BASE_URL"),
    (Kind::Amocrm, "AMOCRM_SERVER_URL"),
];

/// The default of two of the scripts.
const DEFAULT_URL: &str = "http://127.0.0.1:8000";

/// A shorter bound cuts calls off: b24-mcp asks Bitrix24 up to four times.
const BITRIX_TIME: Duration = Duration::from_mins(1);

/// The kind and URL that the environment names, for a command line without a URL.
///
/// # Errors
/// It names more than one.
pub(super) fn target(kind: Kind) -> Result<Option<(Kind, String)>, SetupError> {
    let named: Vec<_> = URLS
        .into_iter()
        .filter(|(of, _)| kind == Kind::Auto || kind == *of)
        .filter_map(|(of, name)| Some((of, name, variable(name)?)))
        .collect();
    match named.as_slice() {
        [] if matches!(kind, Kind::Bitrix | Kind::Amocrm) => {
            Ok(Some((kind, DEFAULT_URL.to_owned())))
        }
        [] => Ok(None),
        [(kind, _, url)] => Ok(Some((*kind, url.clone()))),
        all => {
            let set: Vec<_> = all.iter().map(|(_, name, _)| *name).collect();
            let message = format!("{} are set at once", set.join(" and "));
            let hint = "say which with --kind 1c, --kind bitrix or --kind amocrm";
            Err(SetupError::usage(message).hint(hint))
        }
    }
}

/// The arguments without those that started a script: `-u`, `-m MODULE` and `FILE.py`. They still
/// stand in a configuration in which only `command` was changed. All arguments stay if the
/// environment names no service.
pub(crate) fn without_script(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let arguments: Vec<_> = arguments.collect();
    if URLS.iter().all(|(_, name)| variable(name).is_none()) {
        return arguments;
    }
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "-m" {
            arguments.next();
        } else if text != "-u" && !text.to_ascii_lowercase().ends_with(".py") {
            kept.push(argument);
        }
    }
    kept
}

/// Whether `name` is the variable in which a script looks for its service.
pub(crate) fn names_service(name: &str) -> bool {
    URLS.iter().any(|(_, known)| *known == name)
}

/// User name and password for 1C; a user without a password is common there.
pub(super) fn onec_credentials() -> Option<(String, String)> {
    let user = variable("MCP_ONEC_USERNAME")?;
    Some((user, onec_password().unwrap_or_default()))
}

/// The password for 1C.
pub(super) fn onec_password() -> Option<String> {
    variable("MCP_ONEC_PASSWORD")
}

/// The root URL of the HTTP service of 1C.
pub(super) fn onec_service_root() -> Option<String> {
    variable("MCP_ONEC_SERVICE_ROOT")
}

/// How much to log, in the words of Python's `logging`.
pub(super) fn onec_log_level() -> Option<LogLevel> {
    match variable("MCP_LOG_LEVEL")?.trim().to_ascii_lowercase().as_str() {
        "debug" => Some(LogLevel::Debug),
        "info" => Some(LogLevel::Info),
        "warning" | "warn" => Some(LogLevel::Warn),
        "error" | "critical" => Some(LogLevel::Error),
        _ => None,
    }
}

/// The bound on silence for Bitrix24, and a warning if it is short.
///
/// # Errors
/// It is not a number of seconds.
pub(super) fn bitrix_timeout() -> Result<Option<(Duration, Option<String>)>, SetupError> {
    let Some(text) = variable("MCP_PROXY_TIMEOUT") else { return Ok(None) };
    let timeout = seconds(&text).ok().filter(|timeout| !timeout.is_zero());
    let timeout =
        timeout.ok_or_else(|| SetupError::usage("MCP_PROXY_TIMEOUT is not a number of seconds"))?;
    let warning = (timeout < BITRIX_TIME).then(|| {
        format!(
            "MCP_PROXY_TIMEOUT={} may cut calls off: b24-mcp asks Bitrix24 up to four times, \
             which can take 45 s; use 60 or more",
            text.trim()
        )
    });
    Ok(Some((timeout, warning)))
}

/// The variable that told the amoCRM script not to check certificates, if it did.
pub(super) fn amocrm_insecure() -> Option<&'static str> {
    let name = "AMO_SSL_VERIFY";
    let value = variable(name)?.trim().to_ascii_lowercase();
    matches!(&value[..], "0" | "false" | "no").then_some(name)
}

/// The defaults for created leads.
///
/// # Errors
/// A variable is not a number.
pub(super) fn lead_defaults() -> Result<LeadDefaults, SetupError> {
    let number = |name: &str| {
        let number = variable(name).map(|text| text.trim().parse());
        number.transpose().map_err(|_| SetupError::usage(format!("{name} is not a number")))
    };
    Ok(LeadDefaults {
        pipeline_id: number("AMO_PIPELINE_ID")?,
        status_id: number("AMO_STATUS_ID")?,
        responsible_id: number("AMO_RESPONSIBLE_ID")?,
    })
}
