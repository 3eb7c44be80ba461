//! The steps for a service of 1C: where it is published, what the user may do there, and what the
//! platform's sessions cost.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use url::Url;

use super::Step;
use super::checkup::Checkup;
use super::report::Finding;
use super::service::{shown, timed};
use crate::commands::local_client::{LocalClient, RequestError};
use crate::hint::{Words, words};
use crate::http::{Endpoint, Http};
use crate::mcp::method;
use crate::upstream::Kind;

/// A call that takes longer than this has probably started a session of the platform.
const SLOW: Duration = Duration::from_millis(300);

/// What follows the others for a service of 1C.
pub(super) const STEPS: &[Step] = &[
    Step {
        id: "1c-service",
        name: Words::both("1C service", "Сервис 1С"),
        run: |it| Box::pin(service(it)),
    },
    Step {
        id: "1c-sessions",
        name: Words::both("1C sessions", "Сеансы 1С"),
        run: |it| Box::pin(sessions(it)),
    },
];

/// Whether it is one.
pub(super) fn applies(checkup: &Checkup) -> bool {
    checkup.server.upstream.kind.kind == Kind::OneC
}

/// Where the service was found, and whether the user may use its two methods: the platform gives
/// rights for each method of each URL template.
async fn service(checkup: &mut Checkup) -> Finding {
    let Some(rpc) = rpc(checkup) else {
        return Finding::skipped(Words::both(
            "the service was not met by a POST",
            "обращения к сервису по POST не было",
        ));
    };
    let found =
        Finding::ok(words!("found at {rpc}", "найден по адресу {rpc}")).fact("rpc", rpc.as_str());
    let Some(health) = beside(&rpc, "health") else { return found };
    let status = match checkup.http.get(&Endpoint::new(health), HeaderMap::new()).await {
        Ok(answer) => answer.status().as_u16(),
        Err(failure) => return Finding::failed(failure.what, None),
    };
    let line = match status {
        200..=299 => Words::both(
            "the user may use rpc (POST) and health (GET)",
            "пользователю доступны rpc (POST) и health (GET)",
        ),
        404 | 405 => Words::both(
            "the service has no health address, which is no harm",
            "адреса health у сервиса нет, это не помеха",
        ),
        status => {
            words!("health (GET) answers with HTTP {status}", "health (GET) отвечает HTTP {status}",)
        }
    };
    let found = Finding { details: vec![line], ..found }.fact("healthStatus", status);
    if !matches!(status, 401 | 403) {
        return found;
    }
    let right = Words::both(
        "The user has no right for the method GET of the URL template `health`. It is needed for \
         `--managed-sessions`: allow its use (Использование) in the role, for each method of the service.",
        "У пользователя нет права на метод GET шаблона URL `health`. Оно нужно для `--managed-sessions`: \
         разрешите в роли использование каждого метода сервиса.",
    );
    let Finding { text, details, facts, .. } = found;
    Finding { details, facts, ..Finding::warning(text, right) }
}

/// What a call costs in the platform's sessions, and what it would cost in one that is kept.
async fn sessions(checkup: &mut Checkup) -> Finding {
    let kept = checkup.server.upstream.kind.managed_sessions;
    let each = match timed(&mut checkup.client, method::TOOLS_LIST).await {
        Ok(each) => each,
        Err(error) => return checkup.finding(&error),
    };
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    if let Some(count) = kept {
        let text = words!(
            "a call takes {} ms in managed sessions ({count})",
            "вызов длится {} мс в управляемых сеансах ({count})",
            shown(each),
        );
        return Finding::ok(text).fact("managedMs", ms(each));
    }
    let text = words!("a call takes {} ms", "вызов длится {} мс", shown(each));
    let in_one = match in_managed_session(checkup).await {
        Ok(in_one) => in_one,
        Err(error) => {
            let why = words!(
                "`--managed-sessions` does not work here: {}",
                "`--managed-sessions` здесь не работает: {}",
                error.what(),
            );
            return Finding::ok(text).details([why]).fact("automaticMs", ms(each));
        }
    };
    let text = words!(
        "a call takes {} ms; with `--managed-sessions` it takes {} ms",
        "вызов длится {} мс; с `--managed-sessions` — {} мс",
        shown(each),
        shown(in_one),
    );
    let finding = if each > SLOW && in_one < each / 2 {
        Finding::warning(
            text,
            Words::both(
                "The platform starts a session for each call. Set reuseSessions=\"autouse\" for the service \
                 in the publication's default.vrd, or add `--managed-sessions` (with reuseSessions=\"use\").",
                "Платформа начинает сеанс на каждый вызов. Задайте для сервиса reuseSessions=\"autouse\" в \
                 файле default.vrd публикации или добавьте `--managed-sessions` (с reuseSessions=\"use\").",
            ),
        )
    } else {
        Finding::ok(text)
    };
    finding.fact("automaticMs", ms(each)).fact("managedMs", ms(in_one))
}

/// How long a call takes in a session that we keep. It is ended afterwards, so that no licence stays
/// taken.
async fn in_managed_session(checkup: &mut Checkup) -> Result<Duration, RequestError> {
    let server = &mut checkup.server;
    server.upstream.kind.managed_sessions = Some(1);
    let started = Http::new(&server.upstream.http, &server.upstream.endpoint.url)
        .and_then(|http| LocalClient::start_over(Arc::new(http), server));
    server.upstream.kind.managed_sessions = None;
    let mut client = started.map_err(|error| RequestError::of_setup(&error))?;
    let took = match client.initialize().await {
        Ok(_) => timed(&mut client, method::TOOLS_LIST).await,
        Err(error) => Err(error),
    };
    client.end().await;
    took
}

/// The URL at which the service has answered, with the query that the person gave.
fn rpc(checkup: &Checkup) -> Option<Url> {
    let (request, _, _) = checkup.head(None)?;
    let mut rpc = Url::parse(request.strip_prefix("POST ")?).ok()?;
    rpc.set_query(None);
    Some(rpc)
}

/// `url` with another last segment, if it is that of a service's `rpc`.
fn beside(url: &Url, last: &str) -> Option<Url> {
    let mut beside = url.clone();
    beside.set_path(&format!("{}/{last}", url.path().strip_suffix("/rpc")?));
    Some(beside)
}
