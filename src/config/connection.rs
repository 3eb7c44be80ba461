//! TLS and the proxy, from the options and the variables.

use url::Url;

use super::credentials::base64;
use super::drop_in;
use super::options::ConnectionOptions;
use super::values::{filled_in_url, percent_decoded, proxy_url};
use crate::http::{PROXY_VARIABLES, Tls, proxy_address};
use crate::redact::Secrets;
use crate::setup::SetupError;
use crate::upstream::Kind;

/// TLS beyond the system's own trust, and what to warn of.
pub(super) fn tls(
    options: &ConnectionOptions,
    kind: Kind,
) -> Result<(Tls, Option<String>), SetupError> {
    let switch = if options.insecure {
        Some("--insecure")
    } else {
        drop_in::amocrm_insecure().filter(|_| kind == Kind::Amocrm)
    };
    let mut tls = Tls::new(switch.is_some());
    if let Some(file) = &options.ca_file {
        tls.trust(file)?;
    }
    if let Some(certificate) = &options.client_cert {
        tls.identify_by(certificate, options.client_key.as_ref().unwrap_or(certificate))?;
    }
    let warning = switch.map(|switch| {
        format!(
            "{switch}: the server's certificate is not checked; anybody in between can \
             read and change everything, credentials included"
        )
    });
    Ok((tls, warning))
}

/// The proxy of `--proxy`. The logins of all proxies become secrets, also of those that the HTTP
/// client finds in the environment by itself.
pub(super) fn proxy(
    options: &ConnectionOptions,
    secrets: &Secrets,
) -> Result<Option<Url>, SetupError> {
    for name in PROXY_VARIABLES {
        if let Some(proxy) = std::env::var(name).ok().and_then(|text| proxy_address(&text)) {
            add_proxy_login(&proxy, secrets);
        }
    }
    let text = options.proxy.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let text = text.map(|text| filled_in_url(text, "--proxy", secrets)).transpose()?;
    let proxy = text.as_deref().map(proxy_url).transpose()?;
    if let Some(proxy) = &proxy {
        add_proxy_login(proxy, secrets);
    }
    Ok(proxy)
}

/// Adds the proxy's password to the secrets, and its login as it travels.
fn add_proxy_login(proxy: &Url, secrets: &Secrets) {
    let Some(password) = proxy.password() else { return };
    secrets.add(password);
    secrets.add(&percent_decoded(password));
    let login = [proxy.username(), password].map(percent_decoded).join(":");
    secrets.add(&base64(login.as_bytes()));
}
