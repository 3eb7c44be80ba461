//! Who we are to the upstream: header fields, names, passwords and tokens, from the command line,
//! files and the environment.

use std::path::Path;
use std::sync::Arc;

use reqwest::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};

use super::{ConfigError, Target, error, read_text};
use crate::cli::{self, BasicCharset, Options};
use crate::drop_in;
use crate::http::{Authorization, TokenFile, to_windows_1251};
use crate::redact::Secrets;
use crate::upstream::Kind;

/// The value of `X-API-Key`.
pub(super) fn api_key(
    options: &Options,
    secrets: &Secrets,
) -> Result<Option<HeaderValue>, ConfigError> {
    let key = secret(options.api_key_file.as_deref(), "--api-key-file", "MCPLINE_API_KEY")?;
    let Some(key) = key.filter(|key| !key.is_empty()) else { return Ok(None) };
    secrets.add(&key);
    sensitive(key).map(Some)
}

/// Whether anything is sent that is a secret: `Authorization`, or a header by its name.
pub(super) fn has_credentials(headers: &HeaderMap, authorization: &Authorization) -> bool {
    !matches!(authorization, Authorization::None) || headers.keys().any(is_secret)
}

/// The header fields of `--header-file` and `--header`.
pub(super) fn headers(options: &Options, secrets: &Secrets) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    if let Some(path) = &options.header_file {
        let text = read_text(path, "--header-file")?;
        for line in text.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with('#') {
                let (name, value) = header(line, secrets)?;
                secrets.add(value.to_str().unwrap_or_default());
                headers.append(name, value);
            }
        }
    }
    let mut typed = HeaderMap::new();
    for text in options.header.iter().filter(|text| !text.trim().is_empty()) {
        let (name, value) = header(text, secrets)?;
        typed.append(name, value);
    }
    // Replaces what the file says of the same names.
    headers.extend(typed);
    Ok(headers)
}

/// Reads `NAME:VALUE`, expanding `${NAME}` in the value.
fn header(text: &str, secrets: &Secrets) -> Result<(HeaderName, HeaderValue), ConfigError> {
    let Some((name, value)) = text.split_once(':') else {
        return Err(error("--header must be written NAME:VALUE; one has no colon"));
    };
    let name = name.trim();
    let header_name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| error(format!("--header: `{name}` is not a header name")))?;
    let value = expand(value.trim(), name, secrets)?;
    if is_secret(&header_name) {
        secrets.add(&value);
        // `NAME=VALUE; …`: each value is secret by itself.
        if header_name == COOKIE {
            for pair in value.split(';') {
                secrets.add(pair.split_once('=').map_or(pair, |(_, value)| value));
            }
        }
        // `Bearer TOKEN`: the token is secret by itself.
        if let Some((_, credentials)) = value.split_once(' ') {
            secrets.add(credentials);
        }
    }
    let mut header_value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        error(format!("the value of the header `{name}` holds characters that no header may"))
    })?;
    header_value.set_sensitive(true);
    Ok((header_name, header_value))
}

/// Whether a header's value is a secret by the header's name.
fn is_secret(name: &HeaderName) -> bool {
    ["auth", "cookie", "key", "token", "secret", "password", "session"]
        .iter()
        .any(|part| name.as_str().contains(part))
}

/// Replaces each `${NAME}` by the environment variable, whose value is taken for a secret.
fn expand(text: &str, header: &str, secrets: &Secrets) -> Result<String, ConfigError> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err(error(format!("the header `{header}` has a `${{` without its `}}`")));
        };
        let value = std::env::var(name).map_err(|_| {
            error(format!(
                "the header `{header}` needs the environment variable {name}, which is not set: \
                 put it into the `env` part of the client's configuration"
            ))
        })?;
        secrets.add(&value);
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The `Authorization` header from a bearer token, a user name, or credentials in the URL.
pub(super) fn authorization(
    options: &Options,
    target: &Target,
    kind: Kind,
    secrets: &Arc<Secrets>,
) -> Result<Authorization, ConfigError> {
    let password = secret(options.password_file.as_deref(), "--password-file", "MCPLINE_PASSWORD")?;
    // A secret, whether it is used or not.
    if let Some(password) = &password {
        secrets.add(password);
        let user = options.user.as_deref().unwrap_or_default();
        secrets.add(&base64(format!("{user}:{password}").as_bytes()));
    }
    let token = secret(options.bearer_file.as_deref(), "--bearer-file", "MCPLINE_BEARER")?;
    if let Some(token) = token.filter(|token| !token.is_empty() && !options.ignores_bearer) {
        secrets.add(&token);
        let value = sensitive(format!("Bearer {token}"))?;
        return Ok(match &options.bearer_file {
            Some(file) => {
                let file = TokenFile::new(file.clone(), value, secrets.clone());
                Authorization::File(Arc::new(file))
            }
            None => Authorization::Fixed(value),
        });
    }
    let is_onec = kind == Kind::OneC;
    let of_script = if is_onec { drop_in::onec_credentials() } else { None };
    let (user, password) = match (&options.user, target) {
        (Some(user), _) => {
            let password =
                password.or_else(|| if is_onec { drop_in::onec_password() } else { None });
            (user.clone(), password.unwrap_or_default())
        }
        (None, Target::Url(url)) if !url.username().is_empty() => {
            let decoded = |part| percent_decoded(part);
            let in_url = url.password().map(decoded).unwrap_or_default();
            (percent_decoded(url.username()), password.unwrap_or(in_url))
        }
        _ => match of_script {
            Some((user, of_script)) => (user, password.unwrap_or(of_script)),
            None if options.password_file.is_some() => {
                return Err(error("--password-file needs --user"));
            }
            None => return Ok(Authorization::None),
        },
    };
    if user.contains(':') {
        return Err(error("a user name with a colon cannot be sent by Basic authentication"));
    }
    secrets.add(&password);
    let credentials = format!("{user}:{password}");
    let credentials = match options.basic_charset {
        BasicCharset::Utf8 => credentials.into_bytes(),
        BasicCharset::Windows1251 => to_windows_1251(&credentials).ok_or_else(|| {
            error("the user name or password holds characters that windows-1251 does not have")
        })?,
    };
    let encoded = base64(&credentials);
    secrets.add(&encoded);
    sensitive(format!("Basic {encoded}")).map(Authorization::Fixed)
}

fn sensitive(value: String) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| error("the credentials hold characters that no header may"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A secret from a file, else from the environment variable; one line end at its end goes.
fn secret(
    file: Option<&Path>,
    option: &str,
    variable: &str,
) -> Result<Option<String>, ConfigError> {
    let text = match file {
        Some(path) => Some(read_text(path, option)?),
        None => std::env::var(variable).ok().filter(|value| !cli::is_unset(value.as_ref())),
    };
    Ok(text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Decodes `%XX` as UTF-8, as user names and passwords in URLs are written.
pub(super) fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
