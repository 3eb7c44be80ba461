//! Signing in, from the options.

use std::sync::Arc;

use url::Url;

use super::credentials::secret;
use super::given::Given;
use super::options::{Auth, SignInOptions};
use super::values::upstream_url;
use crate::http::{ConnectSettings, is_loopback};
use crate::oauth::{self, ClientKey, ResourceId, SignIn};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::upstream::Kind;

/// The sign-in to `url`, if one may be needed; `has_credentials` says whether the user has given
/// others.
///
/// # Errors
/// An option cannot be used.
pub(super) fn sign_in(
    options: &SignInOptions,
    given: &Given,
    url: &Url,
    kind: Kind,
    has_credentials: bool,
    connect: &ConnectSettings,
    secrets: &Arc<Secrets>,
) -> Result<Option<Arc<SignIn>>, SetupError> {
    let is_mcp = matches!(kind, Kind::Auto | Kind::Mcp | Kind::Sse);
    match options.auth {
        Auth::None => return Ok(None),
        Auth::Auto if has_credentials || !is_mcp => return Ok(None),
        Auth::Oauth if has_credentials => {
            let message = "--auth oauth cannot be used together with other credentials";
            return Err(SetupError::usage(message).hint("leave out one of the two"));
        }
        Auth::Auto | Auth::Oauth => {}
    }
    let settings = settings(options, given, url)?;
    Ok(Some(SignIn::new(settings, url, connect, secrets.clone())))
}

fn settings(
    options: &SignInOptions,
    given: &Given,
    url: &Url,
) -> Result<oauth::Settings, SetupError> {
    let text = |option: &Option<String>| {
        option.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let client_secret = secret(
        given,
        options.oauth_client_secret_file.as_deref(),
        "--oauth-client-secret-file",
        "MCPLINE_OAUTH_CLIENT_SECRET",
    )?;
    let client_id = text(&options.oauth_client_id);
    if client_secret.is_some() && client_id.is_none() {
        return Err(SetupError::usage("there is a client secret and no client id")
            .hint("set MCPLINE_OAUTH_CLIENT_ID too"));
    }
    let key_file = options.oauth_client_key_file.as_deref();
    if key_file.is_some() && client_id.is_none() {
        return Err(SetupError::usage("there is a client key and no client id")
            .hint("set MCPLINE_OAUTH_CLIENT_ID too"));
    }
    if key_file.is_some() && client_secret.is_some() {
        return Err(SetupError::usage("there are a client secret and a client key")
            .hint("leave out the one that the authorization server does not know"));
    }
    let client_key = key_file.map(|file| {
        ClientKey::read(file).map_err(|why| {
            SetupError::usage(format!("--oauth-client-key-file {} {why}", file.display()))
        })
    });
    let resource = match text(&options.oauth_resource).as_deref() {
        None => ResourceId::Published,
        Some("none") => ResourceId::None,
        Some(id) => ResourceId::Given(id.to_owned()),
    };
    let redirect = text(&options.oauth_redirect).map(|text| redirect(&text)).transpose()?;
    let issuer = text(&options.oauth_issuer);
    if let Some(issuer) = &issuer {
        upstream_url(issuer)?;
    }
    let params = options.oauth_param.iter().filter(|param| !param.trim().is_empty());
    let params = params.map(|param| match param.split_once('=') {
        Some((name, _)) if oauth::OWN_PARAMS.contains(&name.trim()) => {
            let name = name.trim();
            Err(SetupError::usage(format!("--oauth-param cannot set `{name}`"))
                .hint("mcpline sets it itself; the other options of the sign-in may help"))
        }
        Some((name, value)) => Ok((name.trim().to_owned(), value.to_owned())),
        None => Err(SetupError::usage(format!("--oauth-param `{param}`: write NAME=VALUE"))),
    });
    // Parsers add a slash to a bare origin, and some servers compare byte by byte.
    let configured_url = match url.as_str().strip_suffix('/') {
        Some(bare) if url.path() == "/" => bare.to_owned(),
        _ => url.to_string(),
    };
    Ok(oauth::Settings {
        configured_url,
        is_forced: options.auth == Auth::Oauth,
        client_id,
        client_secret,
        client_key: client_key.transpose()?,
        scope: text(&options.oauth_scope),
        resource,
        issuer,
        redirect,
        params: params.collect::<Result<_, _>>()?,
        grant: options.oauth_grant,
        opens_browser: !options.no_browser,
        profile: options.oauth_profile.clone(),
        state_dir: options.state_dir.clone().or_else(oauth::state_dir),
    })
}

/// The redirect URI `text`, which leads to this machine.
fn redirect(text: &str) -> Result<Url, SetupError> {
    let url = Url::parse(text).ok();
    let is_usable = |url: &Url| {
        url.scheme() == "http"
            && is_loopback(url)
            && url.query().is_none()
            && url.fragment().is_none()
    };
    url.filter(is_usable).ok_or_else(|| {
        SetupError::usage(format!("--oauth-redirect `{text}` does not lead to this machine"))
            .hint("write for example http://127.0.0.1:33418/callback")
    })
}
