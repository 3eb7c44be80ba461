//! The steps from the settings to the head of the first answer.

use std::net::IpAddr;
use std::time::Instant;

use url::{Host, Url};

use super::checkup::{Broke, Checkup};
use super::pasted;
use super::report::Finding;
use crate::http::{Authorization, TrustedBy, is_loopback};

/// A certificate that ends sooner than in so many days is warned of.
const SOON: i64 = 14;

/// Addresses that are shown of a name.
const MAX_ADDRESSES: usize = 4;

/// What is sent, and what is wrong with the settings.
pub(super) fn settings(checkup: &Checkup) -> Finding {
    let http = &checkup.server.upstream.http;
    let mut sent: Vec<_> = http.headers.keys().map(ToString::to_string).collect();
    match &http.authorization {
        Authorization::Fixed(value) => {
            let scheme = String::from_utf8_lossy(value.as_bytes());
            let scheme = scheme.split(' ').next().unwrap_or_default().to_owned();
            sent.push(format!("authorization ({scheme})"));
        }
        Authorization::File(_) => sent.push("authorization (token from a file)".to_owned()),
        Authorization::OAuth(sign_in) if sign_in.value().is_some() => {
            sent.push("authorization (token from a sign-in)".to_owned());
        }
        Authorization::None | Authorization::OAuth(_) => {}
    }
    let text = if sent.is_empty() {
        "no credentials and no headers are given".to_owned()
    } else {
        format!("sends {}", sent.join(", "))
    };
    let warnings = &checkup.server.warnings;
    let finding = match warnings.split_first() {
        None => Finding::ok(text),
        Some((first, rest)) => Finding::warning(text, first.clone()).details(rest.iter().cloned()),
    };
    finding.fact("sends", sent)
}

/// Whether the URL is of a form that leads to no MCP server.
pub(super) async fn address(checkup: &mut Checkup) -> Finding {
    // A kind may know that it must not be asked.
    if pasted::recognised(checkup.url()).is_some()
        && let Some(finding) = checkup.failed_at(Broke::Address).await
    {
        return finding;
    }
    let url = checkup.url();
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
    let port = port.unwrap_or_default();
    let text = format!("host {host}, port {port}, path {}", url.path());
    let finding = match pasted::recognised(url) {
        Some((what, hint)) => Finding::warning(format!("{text}: {what}"), hint),
        None if host == "0.0.0.0" => Finding::warning(
            text,
            "0.0.0.0 is where a server listens; use 127.0.0.1 or the computer's name.",
        ),
        None => Finding::ok(text),
    };
    finding.fact("host", host).fact("port", port)
}

/// Whether the host's name is known, unless a proxy looks it up.
pub(super) async fn name(checkup: &mut Checkup) -> Finding {
    let url = match checkup.http.proxy() {
        Some(proxy) => proxy.url.clone(),
        None => checkup.url().clone(),
    };
    let Some(Host::Domain(host)) = url.host() else {
        return Finding::skipped("the host is given by its address");
    };
    let found = tokio::net::lookup_host((host, url.port_or_known_default().unwrap_or(80))).await;
    let mut addresses: Vec<IpAddr> = found.into_iter().flatten().map(|one| one.ip()).collect();
    addresses.dedup();
    if addresses.is_empty() {
        // The words of the attempt itself, which fails in the same way.
        if let Some(finding) = checkup.failed_at(Broke::Name).await {
            return finding;
        }
        if let Some(finding) = checkup.failed_at(Broke::Proxy).await {
            return finding;
        }
        return Finding::ok(format!("{host} is known to the HTTP client alone"));
    }
    let shown: Vec<_> = addresses.iter().take(MAX_ADDRESSES).map(ToString::to_string).collect();
    let more = if addresses.len() > MAX_ADDRESSES { ", ..." } else { "" };
    let of_proxy = if checkup.http.proxy().is_some() { " (the proxy)" } else { "" };
    let text = format!("{host}{of_proxy} is {}{more}", shown.join(", "));
    Finding::ok(text).fact("addresses", shown)
}

/// Which proxy leads there, and who says so.
pub(super) async fn proxy(checkup: &mut Checkup) -> Finding {
    let Some(proxy) = checkup.http.proxy().cloned() else {
        let why = if is_loopback(checkup.url()) { ": this computer needs none" } else { "" };
        return Finding::skipped(format!("none{why}"));
    };
    let finding = match checkup.failed_at(Broke::Proxy).await {
        Some(finding) => finding,
        None => Finding::ok(proxy.to_string()),
    };
    finding.fact("proxy", proxy.to_string()).fact("source", proxy.source)
}

/// Whether something listens there.
pub(super) async fn connection(checkup: &mut Checkup) -> Finding {
    for place in [Broke::Name, Broke::Connection] {
        if let Some(finding) = checkup.failed_at(place).await {
            return finding;
        }
    }
    let url: &Url = checkup.url();
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    match checkup.http.proxy() {
        Some(_) => Finding::ok(format!("the proxy connects to {host}:{port}")),
        None => Finding::ok(format!("{host}:{port} is there")),
    }
}

/// Who the server is, and who trusts it.
pub(super) async fn tls(checkup: &mut Checkup) -> Finding {
    let failed = checkup.failed_at(Broke::Tls).await;
    let peer = checkup.http.peer();
    let Some(peer) = peer else {
        return match failed {
            Some(finding) => finding,
            None if checkup.url().scheme() == "https" => Finding::ok("the connection is encrypted"),
            None => Finding::skipped("plain HTTP"),
        };
    };
    let trusted = match peer.trusted_by {
        Some(TrustedBy::Given) => "trusted by --ca-file",
        Some(TrustedBy::System) => "trusted by this computer",
        Some(TrustedBy::Unchecked) => "not checked (--insecure)",
        None => "not trusted",
    };
    let mut lines = vec![format!("certificate of {}, issued by {}", peer.subject, peer.issuer)];
    if let Some((day, left)) = &peer.expires {
        let left = if *left < 0 {
            format!("expired {} days ago", -left)
        } else {
            format!("{left} days left")
        };
        lines.push(format!("valid until {day} ({left})"));
    }
    let days = peer.expires.as_ref().map(|(_, left)| *left);
    let version = peer.version.unwrap_or("TLS");
    let finding = match failed {
        Some(finding) => finding,
        None if peer.trusted_by == Some(TrustedBy::Unchecked) => Finding::warning(
            format!("{version}, {trusted}"),
            "Anybody on the way can read and change everything: give the certificate with \
             `--ca-file FILE` in place of `--insecure`.",
        ),
        None if days.is_some_and(|left| left < SOON) => Finding::warning(
            format!("{version}, {trusted}"),
            "The certificate ends soon: remind the server's administrator to renew it.",
        ),
        None => Finding::ok(format!("{version}, {trusted}")),
    };
    let finding = finding.details(lines).fact("subject", peer.subject).fact("issuer", peer.issuer);
    let finding = finding.fact("trusted", trusted);
    match peer.expires {
        Some((day, left)) => finding.fact("validUntil", day).fact("daysLeft", left),
        None => finding,
    }
}

/// What the server answers to the first request.
pub(super) async fn http(checkup: &mut Checkup) -> Finding {
    let begun = Instant::now();
    let broke = checkup.broke().await;
    if let Some((Broke::Http, error)) = &broke {
        let finding = checkup.finding(error);
        return match checkup.head(error.status) {
            Some((_, _, head)) => finding.details(about_server(head.server.as_deref())),
            None => finding.fact("waitedMs", millis(begun)),
        };
    }
    let status = broke.as_ref().and_then(|(_, error)| error.status);
    let Some((request, elapsed, head)) = checkup.head(status) else {
        return Finding::skipped("nothing was sent");
    };
    let kind = head.content_type.map(|kind| format!(", {kind}")).unwrap_or_default();
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let finding = Finding::ok(format!("{request}: {}{kind} after {ms} ms", head.status));
    let finding = finding.details(about_server(head.server.as_deref()));
    finding.fact("httpStatus", head.status).fact("elapsedMs", ms)
}

pub(super) fn about_server(server: Option<&str>) -> Option<String> {
    server.map(|server| format!("the server says that it is {server}"))
}

fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
