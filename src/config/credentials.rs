//! Builds the credentials of every request: header fields, API key, Basic and bearer, from the
//! command line, files and the environment.

use std::path::Path;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::Target;
use super::drop_in;
use super::effects;
use super::given::{Given, TypedLogin};
use super::options::{BasicCharset, CredentialOptions, Options};
use super::values::{filled_in, header_line, percent_decoded, read_text};
use crate::http::{Authorization, TokenFile, bare_token, to_windows_1251, unquoted};
use crate::redact::{Secrets, is_ordinary};
use crate::setup::SetupError;
use crate::upstream::Kind;

/// Carries an API key, as the amoCRM server wants it.
pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The header fields and the `Authorization` for `target`. Every secret in them is added to
/// `secrets`.
pub(super) fn credentials(
    options: &Options,
    target: &Target,
    secrets: &Arc<Secrets>,
) -> Result<(HeaderMap, Authorization, Vec<String>), SetupError> {
    let Options { given, server, services, .. } = options;
    let credentials = &server.credentials;
    let mut headers = headers(credentials, given, secrets)?;
    let mut warnings = effects::without_effect(options, target, &headers);
    let login = Login { options: credentials, given, target, secrets };
    let mut authorization = login.authorization(services.basic_charset, &mut warnings)?;
    // An explicit header overrides every other way to log in.
    if headers.contains_key(AUTHORIZATION) {
        authorization = Authorization::None;
    }
    if let Some(key) = api_key(credentials, given, secrets)? {
        headers.entry(API_KEY).or_insert(key);
    }
    Ok((headers, authorization, warnings))
}

/// Whether a secret is sent: `Authorization`, or a header that is a secret by its name.
pub(super) fn have_secret(headers: &HeaderMap, authorization: &Authorization) -> bool {
    !matches!(authorization, Authorization::None) || headers.keys().any(is_secret)
}

/// The value of `X-API-Key`.
fn api_key(
    options: &CredentialOptions,
    given: &Given,
    secrets: &Secrets,
) -> Result<Option<HeaderValue>, SetupError> {
    let file = options.api_key_file.as_deref();
    let key = secret(given, file, "--api-key-file", "MCPLINE_API_KEY")?;
    let Some(key) = key else { return Ok(None) };
    // Pasted with the header's name, or with quotes.
    let key = unquoted(&key);
    let key = match key.split_once(':') {
        Some((name, key)) if name.trim().eq_ignore_ascii_case(API_KEY.as_str()) => unquoted(key),
        _ => key,
    };
    if key.is_empty() {
        let source = source(given, file, "--api-key-file", "MCPLINE_API_KEY");
        return Err(SetupError::usage(format!("{source} holds no key")));
    }
    secrets.add(key);
    sensitive(key.to_owned()).map(Some)
}

/// The header fields of `--header-file` and `--header`.
fn headers(
    options: &CredentialOptions,
    given: &Given,
    secrets: &Secrets,
) -> Result<HeaderMap, SetupError> {
    let mut headers = HeaderMap::new();
    if let Some(path) = &options.header_file {
        let text = read_text(path, "--header-file")?;
        for (at, line) in text.lines().map(str::trim).enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                let place = format!("--header-file {} line {}", path.display(), at + 1);
                let (name, value) = header(line, &place, secrets)?;
                secrets.add(value.to_str().unwrap_or_default());
                headers.append(name, value);
            }
        }
    }
    let mut typed = HeaderMap::new();
    let place = given.name("header").unwrap_or_default();
    for text in options.header.iter().filter(|text| !text.trim().is_empty()) {
        let (name, value) = header(text, &place, secrets)?;
        typed.append(name, value);
    }
    // Replaces what the file says of the same names.
    headers.extend(typed);
    Ok(headers)
}

/// Reads `NAME:VALUE` at `place`, filling in `${NAME}` in the value.
fn header(
    text: &str,
    place: &str,
    secrets: &Secrets,
) -> Result<(HeaderName, HeaderValue), SetupError> {
    let (name, value) = header_line(text, place)?;
    let header_name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| SetupError::usage(format!("{place}: `{name}` is not a header name")))?;
    let what = format!("{place}: the header `{name}`");
    let mut value = filled_in(value, &what, |_, value| secrets.add(value))?;
    // A variable that holds the scheme as well.
    if header_name == AUTHORIZATION && value.to_ascii_lowercase().starts_with("bearer ") {
        value = format!("Bearer {}", bare_token(&value));
    }
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
        SetupError::usage(format!("{place}: the value of the header `{name}` {message}"))
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

/// What decides how we log in.
struct Login<'a> {
    options: &'a CredentialOptions,
    given: &'a Given,
    target: &'a Target,
    secrets: &'a Arc<Secrets>,
}

impl Login<'_> {
    /// The `Authorization` header from a bearer token, a user name, or credentials in the URL.
    fn authorization(
        &self,
        charset: BasicCharset,
        warnings: &mut Vec<String>,
    ) -> Result<Authorization, SetupError> {
        let Self { options, given, target, secrets } = *self;
        let typed = given.typed_login();
        let file = options.password_file.as_deref();
        let password = secret(given, file, "--password-file", "MCPLINE_PASSWORD")?;
        if let Some(file) = file
            && password.as_deref() == Some("")
        {
            warnings.push(format!("--password-file {} is empty", file.display()));
        }
        let user = options.user.as_deref().filter(|_| typed != TypedLogin::BearerFile);
        // `NAME:PASSWORD`, as other programs take it: a name cannot hold a colon.
        let (user, password) = match user.and_then(|user| user.split_once(':')) {
            Some((user, pasted)) if password.is_none() => (Some(user), Some(pasted.to_owned())),
            _ => (user, password),
        };
        // A secret even if a bearer token is sent.
        if let Some(password) = &password {
            secrets.add(password);
            let login = format!("{}:{password}", user.unwrap_or_default());
            secrets.add(&base64(login.as_bytes()));
        }
        if typed != TypedLogin::User
            && let Some(token) = bearer_token(options, given)?
        {
            warnings.extend(unmaskable(&token, "the token"));
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
                warnings.extend(unmaskable(&password, "the password"));
                basic(&user, &password, charset, secrets).map(Authorization::Fixed)
            }
            None if options.password_file.is_some() => {
                Err(SetupError::usage("--password-file needs --user"))
            }
            None => Ok(Authorization::None),
        }
    }
}

/// What to warn of if a secret cannot be told from ordinary text.
fn unmaskable(secret: &str, what: &str) -> Option<String> {
    (!secret.is_empty() && is_ordinary(secret)).then(|| {
        format!(
            "{what} is so short or so common that it cannot be masked wherever it is shown; use a \
             longer one"
        )
    })
}

fn bearer_token(options: &CredentialOptions, given: &Given) -> Result<Option<String>, SetupError> {
    let file = options.bearer_file.as_deref();
    let text = secret(given, file, "--bearer-file", "MCPLINE_BEARER")?;
    let Some(text) = text else { return Ok(None) };
    let source = source(given, file, "--bearer-file", "MCPLINE_BEARER");
    let token = bare_token(&text);
    if token.is_empty() {
        return Err(SetupError::usage(format!("{source} holds no token")));
    }
    if token.to_ascii_lowercase().starts_with("basic ") {
        return Err(SetupError::usage(format!("{source} holds a login of Basic authentication"))
            .hint("use --user and MCPLINE_PASSWORD, or --header 'Authorization: Basic ...'"));
    }
    Ok(Some(token.to_owned()))
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
pub(super) fn login_in(url: &Url) -> Option<(String, String)> {
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

/// Where a secret comes from, for an error.
fn source(given: &Given, file: Option<&Path>, option: &str, name: &str) -> String {
    match file {
        Some(file) => format!("{option} {}", file.display()),
        None => given.secret_name(name).unwrap_or_else(|| name.to_owned()),
    }
}

/// A secret from a file, else from the environment variable or the settings file, without the line
/// end at its end.
pub(super) fn secret(
    given: &Given,
    file: Option<&Path>,
    option: &str,
    name: &str,
) -> Result<Option<String>, SetupError> {
    let text = match file {
        Some(path) => Some(read_text(path, option)?),
        None => given.secret(name),
    };
    Ok(text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// `bytes` as Basic authentication encodes them.
pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
