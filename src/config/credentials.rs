//! Builds the credentials of every request: header fields, API key, Basic and bearer, from the
//! command line, files and the environment.

use std::path::Path;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::Target;
use super::drop_in;
use super::options::{BasicCharset, CredentialOptions, TypedLogin};
use super::values::{header_line, percent_decoded, read_text, variable};
use crate::http::{Authorization, TokenFile, to_windows_1251};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::upstream::Kind;

/// Carries an API key, as the amoCRM server wants it.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The header fields and the `Authorization` for `target`. Every secret in them is added to
/// `secrets`.
pub(super) fn credentials(
    options: &CredentialOptions,
    charset: BasicCharset,
    target: &Target,
    secrets: &Arc<Secrets>,
) -> Result<(HeaderMap, Authorization), SetupError> {
    let mut headers = headers(options, secrets)?;
    let mut authorization = authorization(options, charset, target, secrets)?;
    // An explicit header overrides every other way to log in.
    if headers.contains_key(AUTHORIZATION) {
        authorization = Authorization::None;
    }
    if let Some(key) = api_key(options, secrets)? {
        headers.entry(API_KEY).or_insert(key);
    }
    Ok((headers, authorization))
}

/// Whether a secret is sent: `Authorization`, or a header that is a secret by its name.
pub(super) fn have_secret(headers: &HeaderMap, authorization: &Authorization) -> bool {
    !matches!(authorization, Authorization::None) || headers.keys().any(is_secret)
}

/// The value of `X-API-Key`.
fn api_key(
    options: &CredentialOptions,
    secrets: &Secrets,
) -> Result<Option<HeaderValue>, SetupError> {
    let key = secret(options.api_key_file.as_deref(), "--api-key-file", "MCPLINE_API_KEY")?;
    let Some(key) = key.filter(|key| !key.is_empty()) else { return Ok(None) };
    secrets.add(&key);
    sensitive(key).map(Some)
}

/// The header fields of `--header-file` and `--header`.
fn headers(options: &CredentialOptions, secrets: &Secrets) -> Result<HeaderMap, SetupError> {
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
fn header(text: &str, secrets: &Secrets) -> Result<(HeaderName, HeaderValue), SetupError> {
    let (name, value) = header_line(text)?;
    let header_name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| SetupError::usage(format!("--header: `{name}` is not a header name")))?;
    let value = expand(value, name, secrets)?;
    if is_secret(&header_name) {
        secrets.add(&value);
        // `NAME=VALUE; …`: each value is a secret by itself.
        if header_name == COOKIE {
            for pair in value.split(';') {
                secrets.add(pair.split_once('=').map_or(pair, |(_, value)| value));
            }
        }
        // `Bearer TOKEN`: the token is a secret by itself.
        if let Some((_, credentials)) = value.split_once(' ') {
            secrets.add(credentials);
        }
    }
    let mut header_value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        let message = "holds characters that a header cannot carry";
        SetupError::usage(format!("the value of the header `{name}` {message}"))
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

/// Replaces each `${NAME}` by the environment variable, whose value counts as a secret.
fn expand(text: &str, header: &str, secrets: &Secrets) -> Result<String, SetupError> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            let message = format!("the header `{header}` has a `${{` without its `}}`");
            return Err(SetupError::usage(message));
        };
        let value = std::env::var(name).map_err(|_| {
            SetupError::usage(format!(
                "the header `{header}` needs the environment variable {name}, which is not set"
            ))
            .hint("put it into the `env` part of the client's configuration")
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
fn authorization(
    options: &CredentialOptions,
    charset: BasicCharset,
    target: &Target,
    secrets: &Arc<Secrets>,
) -> Result<Authorization, SetupError> {
    let password = secret(options.password_file.as_deref(), "--password-file", "MCPLINE_PASSWORD")?;
    let user = options.user.as_deref().filter(|_| options.typed_login != TypedLogin::BearerFile);
    // A secret even if a bearer token is sent.
    if let Some(password) = &password {
        secrets.add(password);
        let login = format!("{}:{password}", user.unwrap_or_default());
        secrets.add(&base64(login.as_bytes()));
    }
    if options.typed_login != TypedLogin::User
        && let Some(token) = bearer_token(options)?
    {
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
    match login(user, password, target) {
        Some((user, password)) => {
            basic(&user, &password, charset, secrets).map(Authorization::Fixed)
        }
        None if options.password_file.is_some() => {
            Err(SetupError::usage("--password-file needs --user"))
        }
        None => Ok(Authorization::None),
    }
}

fn bearer_token(options: &CredentialOptions) -> Result<Option<String>, SetupError> {
    let token = secret(options.bearer_file.as_deref(), "--bearer-file", "MCPLINE_BEARER")?;
    Ok(token.filter(|token| !token.is_empty()))
}

/// User name and password: from our options, else from the URL, else from the variables of the
/// script for 1C. A `password` of ours goes with a user name from anywhere.
fn login(
    user: Option<&str>,
    password: Option<String>,
    target: &Target,
) -> Option<(String, String)> {
    let is_onec = target.kind == Kind::OneC;
    if let Some(user) = user {
        let password = password.or_else(|| drop_in::onec_password().filter(|_| is_onec));
        return Some((user.to_owned(), password.unwrap_or_default()));
    }
    let (user, other) = match login_in(&target.url) {
        Some(login) => login,
        None => drop_in::onec_credentials().filter(|_| is_onec)?,
    };
    Some((user, password.unwrap_or(other)))
}

/// User name and password in `url`.
fn login_in(url: &Url) -> Option<(String, String)> {
    let password = url.password().map(percent_decoded).unwrap_or_default();
    (!url.username().is_empty()).then(|| (percent_decoded(url.username()), password))
}

/// The value of `Authorization` for Basic authentication.
fn basic(
    user: &str,
    password: &str,
    charset: BasicCharset,
    secrets: &Secrets,
) -> Result<HeaderValue, SetupError> {
    if user.contains(':') {
        return Err(SetupError::usage(
            "a user name with a colon cannot be sent by Basic authentication",
        ));
    }
    secrets.add(password);
    let credentials = format!("{user}:{password}");
    let credentials = match charset {
        BasicCharset::Utf8 => credentials.into_bytes(),
        BasicCharset::Windows1251 => to_windows_1251(&credentials).ok_or_else(|| {
            SetupError::usage(
                "the user name or password holds characters that windows-1251 does not have",
            )
        })?,
    };
    let encoded = base64(&credentials);
    secrets.add(&encoded);
    sensitive(format!("Basic {encoded}"))
}

fn sensitive(value: String) -> Result<HeaderValue, SetupError> {
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        SetupError::usage("the credentials hold characters that a header cannot carry")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A secret from a file, else from the environment variable, without the line end at its end.
fn secret(file: Option<&Path>, option: &str, name: &str) -> Result<Option<String>, SetupError> {
    let text = match file {
        Some(path) => Some(read_text(path, option)?),
        None => variable(name),
    };
    Ok(text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// `bytes` as Basic authentication encodes them.
pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
