//! The steps of a sign-in by OAuth. They look at what it rests on, ask no person and register nothing.
//!
//! Where the session opens all the same, what is wrong with them is only a warning.

use std::time::Duration;

use reqwest::StatusCode;

use super::Step;
use super::checkup::{Broke, Checkup};
use super::network::{about_server, wanted};
use super::report::{Finding, Outcome};
use crate::hint::{Words, words};
use crate::http::{Authorization, ClockDifference};
use crate::oauth::{ClientFound, Grant, SignInProblem, Stored, Survey};
use crate::upstream::Pending;

/// A clock that is wrong by more than this makes tokens end too soon or too late.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_mins(1);

/// What a sign-in rests on, for servers that want one.
pub(super) const STEPS: &[Step] = &[
    Step {
        id: "challenge",
        name: Words::both("Challenge", "Требование"),
        run: |it| over(it, |survey| Ok(challenge(survey))),
    },
    Step {
        id: "resource", name: Words::both("Resource", "Ресурс"), run: |it| over(it, resource)
    },
    Step {
        id: "authorization-server",
        name: Words::both("Issuer", "Издатель"),
        run: |it| over(it, server),
    },
    Step { id: "client", name: Words::both("Client", "Клиент"), run: |it| over(it, client) },
    Step {
        id: "scopes",
        name: Words::both("Scopes", "Права"),
        run: |it| over(it, |survey| Ok(scopes(survey))),
    },
    Step { id: "clock", name: Words::both("Clock", "Часы"), run: |it| Box::pin(clock(it)) },
    Step { id: "token", name: Words::both("Token", "Токен"), run: |it| over(it, token) },
];

/// Whether the server takes what is sent, whatever that is.
pub(super) const VERDICT: &[Step] = &[Step {
    id: "sign-in",
    name: Words::both("Sign-in", "Вход"),
    run: |it| Box::pin(verdict(it)),
}];

/// Whether something speaks of a sign-in by OAuth.
pub(super) async fn applies(checkup: &mut Checkup) -> bool {
    let is_reached = checkup.broke().await.is_none_or(|(broke, _)| broke == Broke::SignIn);
    is_reached && checkup.survey().await.is_some_and(|survey| !survey.is_empty())
}

impl Checkup {
    /// What a sign-in rests on, looked at once; `None` where there can be no sign-in.
    async fn survey(&mut self) -> Option<&Survey> {
        let sign_in = self.server.upstream.sign_in.clone()?;
        if self.survey.is_none() {
            let broke = self.broke().await;
            let status = broke.and_then(|(_, error)| error.status);
            let head = status.and_then(|status| self.head(Some(status)));
            let refusal = head.as_ref().and_then(|(_, _, head)| {
                Some((StatusCode::from_u16(head.status).ok()?, head.challenges.as_slice()))
            });
            self.survey = Some(sign_in.survey(refusal).await);
        }
        self.survey.as_ref()
    }
}

/// The finding that `look` makes of the survey.
fn over(
    checkup: &mut Checkup,
    look: fn(&Survey) -> Result<Finding, &SignInProblem>,
) -> Pending<'_, Finding> {
    Box::pin(async move {
        let works = checkup.broke().await.is_none();
        let Some(survey) = checkup.survey().await else {
            return Finding::skipped(Words::both("not looked at", "не проверялось"));
        };
        match look(survey) {
            // It goes on without: that is no reason to call it broken.
            Ok(finding) if works && finding.outcome == Outcome::Failed => {
                Finding { outcome: Outcome::Warning, ..finding }
            }
            Ok(finding) => finding,
            Err(problem) if works => {
                Finding::warning(problem.what().to_owned(), problem.hint().clone())
            }
            Err(problem) => {
                Finding::failed(problem.what().to_owned(), Some(problem.hint().clone()))
            }
        }
    })
}

fn challenge(survey: &Survey) -> Finding {
    let Some(challenge) = &survey.challenge else {
        return Finding::ok(Words::both(
            "none: the server has refused nothing",
            "его нет: сервер ни в чём не отказал",
        ));
    };
    if !challenge.is_bearer {
        return Finding::ok(Words::both(
            "none: the server does not say how to sign in, so the well-known places are asked",
            "его нет: сервер не говорит, как войти, поэтому опрошены общепринятые адреса",
        ));
    }
    let metadata = challenge.metadata.as_ref();
    let metadata =
        metadata.map(|url| words!("its metadata are at {url}", "его метаданные — по адресу {url}"));
    let scope = challenge.scope.as_ref();
    let scope = scope.map(|scope| words!("it needs the scopes {scope}", "нужны права {scope}"));
    Finding::ok(Words::both("the server wants a token (Bearer)", "сервер требует токен (Bearer)"))
        .details(metadata.into_iter().chain(scope))
        .fact("metadata", challenge.metadata.clone())
        .fact("scope", challenge.scope.clone())
}

fn resource(survey: &Survey) -> Result<Finding, &SignInProblem> {
    let Some(resource) = survey.resource.as_ref()? else {
        return Ok(Finding::ok(Words::both(
            "the server publishes no metadata of itself (RFC 9728)",
            "сервер не публикует метаданных о себе (RFC 9728)",
        )));
    };
    let issuers = resource.issuers.join(", ");
    let id = &resource.id;
    Ok(Finding::ok(words!("{id}, tokens come from {issuers}", "{id}, токены выдаёт {issuers}"))
        .fact("resource", resource.id.clone())
        .fact("authorizationServers", resource.issuers.clone())
        .fact("scopesSupported", resource.scopes.clone()))
}

fn server(survey: &Survey) -> Result<Finding, &SignInProblem> {
    if survey.resource.is_err() {
        return Ok(Finding::skipped(not_looked_for()));
    }
    let Some(server) = survey.server.as_ref()? else {
        return Ok(Finding::failed(
            Words::both("there is no authorization server", "сервера авторизации нет"),
            Some(Words::both(
                "Name it with --oauth-issuer, or give a token with --bearer-file.",
                "Укажите его параметром --oauth-issuer или дайте токен параметром --bearer-file.",
            )),
        ));
    };
    let lines = server.endpoints.iter().map(|(name, url)| Words::from(format!("{name}: {url}")));
    let endpoints: serde_json::Map<_, _> = server
        .endpoints
        .iter()
        .map(|(name, url)| ((*name).to_owned(), url.as_str().into()))
        .collect();
    let issuer = &server.issuer;
    let finding = match &server.problem {
        Some(problem) => Finding::failed(problem.what().to_owned(), Some(problem.hint().clone())),
        None if server.is_assumed => Finding::warning(
            words!(
                "{issuer} publishes no metadata; the endpoints are assumed",
                "{issuer} не публикует метаданных; адреса предположены",
            ),
            Words::both(
                "If the server takes a token that you have, give it with --bearer-file.",
                "Если сервер принимает токен, который у вас есть, дайте его параметром --bearer-file.",
            ),
        ),
        None if survey.grant == Grant::Code && !server.has_s256 => Finding::warning(
            words!(
                "{issuer} does not say that it checks PKCE by S256",
                "{issuer} не сообщает, что проверяет PKCE по S256",
            ),
            Words::both(
                "It works if the server checks it all the same, as Entra ID and Cognito do.",
                "Это работает, если сервер всё же проверяет его, как Entra ID и Cognito.",
            ),
        ),
        None => Finding::ok(issuer.clone()),
    };
    Ok(finding
        .details(lines)
        .fact("issuer", server.issuer.clone())
        .fact("endpoints", endpoints)
        .fact("pkceS256", server.has_s256)
        .fact("clientDocuments", server.takes_client_documents)
        .fact("resource", server.resource.clone()))
}

fn client(survey: &Survey) -> Result<Finding, &SignInProblem> {
    let Some(client) = &survey.client else {
        return Ok(Finding::skipped(not_looked_for()));
    };
    Ok(match client.as_ref()? {
        ClientFound::Given { id, proves_by } => Finding::ok(words!(
            "{id}, as it is given ({proves_by})",
            "{id}, как задано ({proves_by})"
        ))
        .fact("clientId", id.clone())
        .fact("provesBy", *proves_by),
        ClientFound::Registered { id } => Finding::ok(words!(
            "{id}, as mcpline has registered it",
            "{id}, зарегистрирован mcpline"
        ))
        .fact("clientId", id.clone()),
        ClientFound::CanRegister => Finding::ok(Words::both(
            "none yet: the server registers mcpline at the first sign-in",
            "пока нет: сервер зарегистрирует mcpline при первом входе",
        )),
    })
}

fn scopes(survey: &Survey) -> Finding {
    let Ok(Some(server)) = &survey.server else {
        return Finding::skipped(not_looked_for());
    };
    let text = if server.scopes.is_empty() {
        Words::both("none are asked for", "не запрашиваются")
    } else {
        words!("{} are asked for", "запрашиваются: {}", server.scopes.join(" "))
    };
    Finding::ok(text).fact("asked", server.scopes.clone())
}

/// Whether this machine knows what time it is: a token that seems to have ended is not used.
async fn clock(checkup: &mut Checkup) -> Finding {
    let status = checkup.broke().await.and_then(|(_, error)| error.status);
    let difference = checkup.head(status).and_then(|(_, _, head)| head.clock);
    let Some(difference) = difference else {
        return Finding::skipped(Words::both(
            "the server does not say what time it is",
            "сервер не сообщает своё время",
        ));
    };
    let seconds = difference.size().as_secs();
    if difference.size() <= MAX_CLOCK_DIFFERENCE {
        return Finding::ok(Words::both(
            "it agrees with the server's",
            "совпадают с часами сервера",
        ))
        .fact("seconds", seconds);
    }
    let size = duration(seconds);
    let (direction, text) = match difference {
        ClockDifference::Ahead(_) => (
            "ahead of",
            words!(
                "this computer's clock is {size} ahead of the server's",
                "часы этого компьютера спешат относительно сервера на {size}",
            ),
        ),
        ClockDifference::Behind(_) => (
            "behind",
            words!(
                "this computer's clock is {size} behind the server's",
                "часы этого компьютера отстают от часов сервера на {size}",
            ),
        ),
    };
    let hint = Words::both(
        "Set the clock of this computer, or of the server: tokens and certificates seem to end too early \
         or too late.",
        "Установите часы этого компьютера или сервера: иначе срок токенов и сертификатов считается \
         неверно.",
    );
    Finding::warning(text, hint).fact("seconds", seconds).fact("direction", direction)
}

fn token(survey: &Survey) -> Result<Finding, &SignInProblem> {
    let folder = survey.folder.as_ref().map(|folder| folder.display());
    let folder = folder.map(|folder| words!("kept in {folder}", "хранится в {folder}"));
    let Some(stored) = survey.stored.as_ref()? else {
        let text = match survey.grant {
            Grant::ClientCredentials => Words::both(
                "none is kept: the program signs in by itself",
                "не хранится: программа входит сама",
            ),
            Grant::Code | Grant::Device => {
                Words::both("none: nobody has signed in yet", "нет: никто ещё не входил")
            }
        };
        let pending = survey.pending.as_ref().map(|url| {
            words!("a sign-in waits for a person at {url}", "вход ждёт человека по адресу {url}")
        });
        let folder = folder.unwrap_or(Words::both(
            "the system names no folder to keep one in: set MCPLINE_STATE_DIR",
            "система не называет папки для него: задайте MCPLINE_STATE_DIR",
        ));
        let finding = Finding::ok(text).details(pending.into_iter().chain([folder]));
        return Ok(finding.fact("isStored", false).fact("pendingUrl", survey.pending.clone()));
    };
    let Stored { issuer, can_be_renewed, scopes, .. } = stored;
    let text = match stored.age().map(duration) {
        Some(age) => words!("from {issuer}, {age} old", "выдан {issuer}, возраст {age}"),
        None => words!("from {issuer}", "выдан {issuer}"),
    };
    let left = match stored.left() {
        None => Words::both("its end is not known", "срок неизвестен"),
        Some(0) => Words::both("it has ended", "срок истёк"),
        Some(left) => {
            let left = duration(left);
            words!("it ends in {left}", "действует ещё {left}")
        }
    };
    let renewed = if *can_be_renewed {
        Words::both("it is renewed without a person", "обновляется без участия человека")
    } else {
        Words::both("it cannot be renewed without a person", "без участия человека не обновляется")
    };
    let granted = scopes.join(" ");
    let granted = words!("granted: {granted}", "предоставлено: {granted}");
    let lines = [left.joined("; ", &renewed)]
        .into_iter()
        .chain((!scopes.is_empty()).then_some(granted))
        .chain(folder);
    Ok(Finding::ok(text)
        .details(lines)
        .fact("isStored", true)
        .fact("issuer", issuer.clone())
        .fact("ageSeconds", stored.age())
        .fact("secondsLeft", stored.left())
        .fact("canBeRenewed", *can_be_renewed)
        .fact("scopes", scopes.clone()))
}

fn not_looked_for() -> Words {
    Words::both("not looked for", "не искали")
}

/// `seconds` in the largest units that say enough.
fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Whether the server takes the credentials, and what it offers if not.
async fn verdict(checkup: &mut Checkup) -> Finding {
    let has_sent = {
        let http = &checkup.server.upstream.http;
        let has_authorization = match &http.authorization {
            Authorization::None => false,
            Authorization::OAuth(sign_in) => sign_in.value().is_some(),
            Authorization::Fixed(_) | Authorization::File(_) => true,
        };
        has_authorization || !http.headers.is_empty()
    };
    let can_sign_in = applies(checkup).await;
    let Some(mut finding) = checkup.failed_at(Broke::SignIn).await else {
        return Finding::ok(match (has_sent, can_sign_in) {
            (true, _) => {
                Words::both("the server takes what is sent", "сервер принимает то, что отправлено")
            }
            (false, true) => Words::both(
                "the session opens without a token; calls may need one",
                "сеанс открывается без токена; вызовам он может понадобиться",
            ),
            (false, false) => Words::both("the server wants none", "сервер его не требует"),
        });
    };
    let status = finding.facts.get("httpStatus").and_then(serde_json::Value::as_u64);
    let head = checkup.head(status.and_then(|status| u16::try_from(status).ok()));
    let Some((_, _, head)) = head else { return finding };
    if can_sign_in && status == Some(401) {
        let text = if has_sent {
            Words::both(
                "the server refuses the token, and it cannot be renewed: sign in again",
                "сервер не принимает токен, и обновить его нельзя: войдите заново",
            )
        } else {
            Words::both("nobody has signed in yet", "никто ещё не входил")
        };
        let url = crate::redact::shown(checkup.url());
        let hint = words!(
            "Run `mcpline login {url}` with the options of this check. Or use the server from your program: \
             the page to sign in at then opens by itself.",
            "Выполните `mcpline login {url}` с параметрами этой проверки. Или обратитесь к серверу из своей \
             программы: страница входа откроется сама.",
        );
        finding = Finding { text, hint: Some(hint), ..finding };
    } else if let Some(hint) = wanted(&head.schemes).filter(|_| !has_sent) {
        finding.hint = Some(hint);
    }
    let mut lines = Vec::new();
    if !head.schemes.is_empty() {
        let schemes = head.schemes.join(", ");
        lines.push(words!("the server offers {schemes}", "сервер предлагает {schemes}"));
    }
    if let Some(metadata) = &head.resource_metadata
        && !can_sign_in
    {
        lines.push(words!(
            "sign-in by OAuth is described at {metadata}",
            "вход по OAuth описан по адресу {metadata}",
        ));
    }
    lines.extend(about_server(head.server.as_deref()));
    lines.push(if has_sent {
        Words::both("credentials were sent", "имя с паролем, токен или заголовки были отправлены")
    } else {
        Words::both("no credentials were sent", "ни имени с паролем, ни токена не отправлено")
    });
    let finding = finding.details(lines).fact("offers", head.schemes);
    match head.resource_metadata {
        Some(metadata) => finding.fact("resourceMetadata", metadata),
        None => finding,
    }
}
