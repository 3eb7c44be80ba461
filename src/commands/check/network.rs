//! The steps from the settings to the head of the first answer.

use std::net::IpAddr;

use url::{Host, Url};

use super::checkup::{Broke, Checkup};
use super::report::Finding;
use super::{elsewhere, pasted};
use crate::hint::{Words, words};
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
        Words::both(
            "no credentials and no headers are given",
            "ни имени с паролем или токена, ни заголовков не задано",
        )
    } else {
        words!("sends {}", "отправляются: {}", sent.join(", "))
    };
    let warnings = &checkup.server.warnings;
    let finding = match warnings.split_first() {
        None => Finding::ok(text),
        Some((first, rest)) => {
            Finding::warning(text, first.clone()).details(rest.iter().cloned().map(Words::from))
        }
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
    let path = url.path();
    let text =
        words!("host {host}, port {port}, path {path}", "узел {host}, порт {port}, путь {path}");
    let finding = match pasted::recognised(url) {
        Some((what, hint)) => Finding::warning(text.colon(&what), hint),
        None if host == "0.0.0.0" => Finding::warning(
            text,
            Words::both(
                "0.0.0.0 is where a server listens; use 127.0.0.1 or the computer's name.",
                "0.0.0.0 — адрес, на котором сервер слушает; укажите 127.0.0.1 или имя компьютера.",
            ),
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
        return Finding::skipped(match checkup.http.proxy() {
            Some(_) => Words::both(
                "the proxy, which is given by its address, looks it up",
                "его ищет прокси, заданный адресом",
            ),
            None => Words::both("the host is given by its address", "узел задан адресом"),
        });
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
        return Finding::ok(words!(
            "{host} is known to the HTTP client alone",
            "{host} известно только самому клиенту HTTP",
        ));
    }
    let shown: Vec<_> = addresses.iter().take(MAX_ADDRESSES).map(ToString::to_string).collect();
    let more = if addresses.len() > MAX_ADDRESSES { ", ..." } else { "" };
    let list = shown.join(", ");
    let text = match checkup.http.proxy() {
        Some(_) => {
            words!("{host} (the proxy) is {list}{more}", "{host} (прокси) — это {list}{more}")
        }
        None => words!("{host} is {list}{more}", "{host} — это {list}{more}"),
    };
    Finding::ok(text).fact("addresses", shown)
}

/// Which proxy leads there, and who says so.
pub(super) async fn proxy(checkup: &mut Checkup) -> Finding {
    let Some(proxy) = checkup.http.proxy().cloned() else {
        return Finding::skipped(if is_loopback(checkup.url()) {
            Words::both("none: this computer needs none", "нет: к этому компьютеру он не нужен")
        } else {
            Words::both("none", "нет")
        });
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
        Some(_) => Finding::ok(words!(
            "the proxy connects to {host}:{port}",
            "прокси соединяется с {host}:{port}",
        )),
        None => Finding::ok(words!("{host}:{port} is there", "{host}:{port} отвечает")),
    }
}

/// Who the server is, and who trusts it.
pub(super) async fn tls(checkup: &mut Checkup) -> Finding {
    let failed = checkup.failed_at(Broke::Tls).await;
    let peer = checkup.http.peer();
    let Some(peer) = peer else {
        return match failed {
            Some(finding) => finding,
            None if checkup.url().scheme() == "https" => {
                Finding::ok(Words::both("the connection is encrypted", "соединение зашифровано"))
            }
            None => Finding::skipped(Words::both("plain HTTP", "HTTP без шифрования")),
        };
    };
    let trusted = match peer.trusted_by {
        Some(TrustedBy::Given) => Words::both("trusted by --ca-file", "доверен по --ca-file"),
        Some(TrustedBy::System) => {
            Words::both("trusted by this computer", "доверен на этом компьютере")
        }
        Some(TrustedBy::Unchecked) => {
            Words::both("not checked (--insecure)", "не проверяется (--insecure)")
        }
        None => Words::both("not trusted", "не доверен"),
    };
    let mut lines = vec![words!(
        "certificate of {}, issued by {}",
        "сертификат {}, выдан {}",
        peer.subject,
        peer.issuer,
    )];
    if let Some((day, left)) = &peer.expires {
        lines.push(if *left < 0 {
            let ago = -left;
            words!(
                "valid until {day} (expired {ago} days ago)",
                "действителен до {day} (истёк, дней назад: {ago})",
            )
        } else {
            words!(
                "valid until {day} ({left} days left)",
                "действителен до {day} (осталось дней: {left})"
            )
        });
    }
    let days = peer.expires.as_ref().map(|(_, left)| *left);
    let version = peer.version.unwrap_or("TLS");
    let text = trusted.map(|trusted| format!("{version}, {trusted}"));
    let finding = match failed {
        Some(finding) => finding,
        None if peer.trusted_by == Some(TrustedBy::Unchecked) => Finding::warning(
            text,
            Words::both(
                "Anybody on the way can read and change everything: give the certificate with \
                 `--ca-file FILE` instead of `--insecure`.",
                "Любой на пути может всё прочесть и изменить: вместо `--insecure` укажите сертификат \
                 параметром `--ca-file FILE`.",
            ),
        ),
        None if days.is_some_and(|left| left < SOON) => Finding::warning(
            text,
            Words::both(
                "The certificate ends soon: remind the server's administrator to renew it.",
                "Срок сертификата скоро истечёт: напомните администратору сервера его обновить.",
            ),
        ),
        None => Finding::ok(text),
    };
    let finding = finding.details(lines).fact("subject", peer.subject).fact("issuer", peer.issuer);
    let finding = finding.fact("trusted", trusted.to_string());
    match peer.expires {
        Some((day, left)) => finding.fact("validUntil", day).fact("daysLeft", left),
        None => finding,
    }
}

/// What the server answers to the first request.
pub(super) async fn http(checkup: &mut Checkup) -> Finding {
    let broke = checkup.broke().await;
    if let Some((Broke::Http, error)) = &broke {
        let finding = checkup.finding(error);
        return match checkup.head(error.status) {
            Some((_, _, head)) => {
                let finding = finding.details(about_server(head.server.as_deref()));
                elsewhere::pointed(checkup, finding, error).await
            }
            None => finding.fact("waitedMs", error.elapsed_ms),
        };
    }
    let status = broke.as_ref().and_then(|(_, error)| error.status);
    let Some((request, elapsed, head)) = checkup.head(status) else {
        return Finding::skipped(Words::both("nothing was sent", "ничего не отправлено"));
    };
    let kind = head.content_type.map(|kind| format!(", {kind}")).unwrap_or_default();
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let status = head.status;
    let finding = Finding::ok(words!(
        "{request}: {status}{kind} after {ms} ms",
        "{request}: {status}{kind} через {ms} мс",
    ));
    let finding = finding.details(about_server(head.server.as_deref()));
    finding.fact("httpStatus", head.status).fact("elapsedMs", ms)
}

pub(super) fn about_server(server: Option<&str>) -> Option<Words> {
    server.map(|server| {
        words!("the server says that it is {server}", "сервер называет себя {server}")
    })
}

/// What to give to a server that wants one of these schemes and got nothing.
pub(super) fn wanted(schemes: &[String]) -> Option<Words> {
    let offers = |name: &str| schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(name));
    if offers("Basic") {
        return Some(Words::both(
            "The server wants a login: give the user with `--user NAME`, and the password in MCPLINE_PASSWORD.",
            "Сервер требует входа: укажите пользователя параметром `--user ИМЯ`, а пароль — в переменной \
             MCPLINE_PASSWORD.",
        ));
    }
    offers("Bearer").then(|| {
        Words::both(
            "The server wants a token: put it into MCPLINE_BEARER, or name a file with `--bearer-file FILE`.",
            "Сервер требует токен: задайте его в переменной MCPLINE_BEARER или укажите файл параметром \
             `--bearer-file ФАЙЛ`.",
        )
    })
}
