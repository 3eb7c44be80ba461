//! The steps of a sign-in by OAuth. They look at what it rests on, ask no person and register nothing.
//!
//! Where the session opens all the same, what is wrong with them is only a warning.

use std::time::Duration;

use reqwest::StatusCode;

use super::Step;
use super::checkup::{Broke, Checkup};
use super::network::about_server;
use super::report::{Finding, Outcome};
use crate::http::{Authorization, ClockDifference};
use crate::oauth::{ClientFound, Grant, SignInProblem, Stored, Survey};
use crate::upstream::Pending;

/// A clock that is wrong by more than this makes tokens end too soon or too late.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_mins(1);

/// What a sign-in rests on, for servers that want one.
pub(super) const STEPS: &[Step] = &[
    Step { id: "challenge", name: "Challenge", run: |it| over(it, |survey| Ok(challenge(survey))) },
    Step { id: "resource", name: "Resource", run: |it| over(it, resource) },
    Step { id: "authorization-server", name: "Issuer", run: |it| over(it, server) },
    Step { id: "client", name: "Client", run: |it| over(it, client) },
    Step { id: "scopes", name: "Scopes", run: |it| over(it, |survey| Ok(scopes(survey))) },
    Step { id: "clock", name: "Clock", run: |it| Box::pin(clock(it)) },
    Step { id: "token", name: "Token", run: |it| over(it, token) },
];

/// Whether the server takes what is sent, whatever that is.
pub(super) const VERDICT: &[Step] =
    &[Step { id: "sign-in", name: "Sign-in", run: |it| Box::pin(verdict(it)) }];

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
            return Finding::skipped("not looked at");
        };
        match look(survey) {
            // It goes on without: that is no reason to call it broken.
            Ok(finding) if works && finding.outcome == Outcome::Failed => {
                Finding { outcome: Outcome::Warning, ..finding }
            }
            Ok(finding) => finding,
            Err(problem) if works => Finding::warning(problem.what(), problem.hint()),
            Err(problem) => Finding::failed(problem.what(), Some(problem.hint().to_owned())),
        }
    })
}

fn challenge(survey: &Survey) -> Finding {
    let Some(challenge) = &survey.challenge else {
        return Finding::ok("none: the server has refused nothing");
    };
    if !challenge.is_bearer {
        return Finding::ok(
            "none: the server does not say how to sign in, so the well-known places are asked",
        );
    }
    let metadata = challenge.metadata.as_ref().map(|url| format!("its metadata are at {url}"));
    let scope = challenge.scope.as_ref().map(|scope| format!("it needs the scopes {scope}"));
    Finding::ok("the server wants a token (Bearer)")
        .details(metadata.into_iter().chain(scope))
        .fact("metadata", challenge.metadata.clone())
        .fact("scope", challenge.scope.clone())
}

fn resource(survey: &Survey) -> Result<Finding, &SignInProblem> {
    let Some(resource) = survey.resource.as_ref()? else {
        return Ok(Finding::ok("the server publishes no metadata of itself (RFC 9728)"));
    };
    let issuers = resource.issuers.join(", ");
    Ok(Finding::ok(format!("{}, tokens come from {issuers}", resource.id))
        .fact("resource", resource.id.clone())
        .fact("authorizationServers", resource.issuers.clone())
        .fact("scopesSupported", resource.scopes.clone()))
}

fn server(survey: &Survey) -> Result<Finding, &SignInProblem> {
    if survey.resource.is_err() {
        return Ok(Finding::skipped("not looked for"));
    }
    let Some(server) = survey.server.as_ref()? else {
        return Ok(Finding::failed(
            "there is no authorization server",
            Some("Name it with --oauth-issuer, or give a token with --bearer-file.".to_owned()),
        ));
    };
    let lines = server.endpoints.iter().map(|(name, url)| format!("{name}: {url}"));
    let endpoints: serde_json::Map<_, _> = server
        .endpoints
        .iter()
        .map(|(name, url)| ((*name).to_owned(), url.as_str().into()))
        .collect();
    let finding = match &server.problem {
        Some(problem) => Finding::failed(problem.what(), Some(problem.hint().to_owned())),
        None if server.is_assumed => Finding::warning(
            format!("{} publishes no metadata; the endpoints are assumed", server.issuer),
            "If the server takes a token that you have, give it with --bearer-file.",
        ),
        None if survey.grant == Grant::Code && !server.has_s256 => Finding::warning(
            format!("{} does not say that it checks PKCE by S256", server.issuer),
            "It works if the server checks it all the same, as Entra ID and Cognito do.",
        ),
        None => Finding::ok(&server.issuer),
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
        return Ok(Finding::skipped("not looked for"));
    };
    Ok(match client.as_ref()? {
        ClientFound::Given { id, proves_by } => {
            Finding::ok(format!("{id}, as it is given ({proves_by})"))
                .fact("clientId", id.clone())
                .fact("provesBy", *proves_by)
        }
        ClientFound::Registered { id } => {
            Finding::ok(format!("{id}, as mcpline has registered it")).fact("clientId", id.clone())
        }
        ClientFound::CanRegister => {
            Finding::ok("none yet: the server registers mcpline at the first sign-in")
        }
    })
}

fn scopes(survey: &Survey) -> Finding {
    let Ok(Some(server)) = &survey.server else {
        return Finding::skipped("not looked for");
    };
    let text = if server.scopes.is_empty() {
        "none are asked for".to_owned()
    } else {
        format!("{} are asked for", server.scopes.join(" "))
    };
    Finding::ok(text).fact("asked", server.scopes.clone())
}

/// Whether this machine knows what time it is: a token that seems to have ended is not used.
async fn clock(checkup: &mut Checkup) -> Finding {
    let status = checkup.broke().await.and_then(|(_, error)| error.status);
    let difference = checkup.head(status).and_then(|(_, _, head)| head.clock);
    let Some(difference) = difference else {
        return Finding::skipped("the server does not say what time it is");
    };
    let seconds = difference.size().as_secs();
    if difference.size() <= MAX_CLOCK_DIFFERENCE {
        return Finding::ok("it agrees with the server's").fact("seconds", seconds);
    }
    let direction = match difference {
        ClockDifference::Ahead(_) => "ahead of",
        ClockDifference::Behind(_) => "behind",
    };
    let text = format!("this computer's clock is {} {direction} the server's", duration(seconds));
    let hint = "Set the clock of this computer, or of the server: tokens and certificates seem to end \
                too early or too late.";
    Finding::warning(text, hint).fact("seconds", seconds).fact("direction", direction)
}

fn token(survey: &Survey) -> Result<Finding, &SignInProblem> {
    let folder = survey.folder.as_ref().map(|folder| format!("kept in {}", folder.display()));
    let Some(stored) = survey.stored.as_ref()? else {
        let text = match survey.grant {
            Grant::ClientCredentials => "none is kept: the program signs in by itself",
            Grant::Code | Grant::Device => "none: nobody has signed in yet",
        };
        let pending = survey.pending.as_ref();
        let pending = pending.map(|url| format!("a sign-in waits for a person at {url}"));
        let folder = folder.unwrap_or_else(|| {
            "the system names no folder to keep one in: set MCPLINE_STATE_DIR".to_owned()
        });
        let finding = Finding::ok(text).details(pending.into_iter().chain([folder]));
        return Ok(finding.fact("isStored", false).fact("pendingUrl", survey.pending.clone()));
    };
    let Stored { issuer, can_be_renewed, scopes, .. } = stored;
    let age = stored.age().map(|age| format!(", {} old", duration(age))).unwrap_or_default();
    let left = match stored.left() {
        None => "its end is not known".to_owned(),
        Some(0) => "it has ended".to_owned(),
        Some(left) => format!("it ends in {}", duration(left)),
    };
    let renewed = if *can_be_renewed {
        "it is renewed without a person"
    } else {
        "it cannot be renewed without a person"
    };
    let granted = format!("granted: {}", scopes.join(" "));
    let lines = [format!("{left}; {renewed}")]
        .into_iter()
        .chain((!scopes.is_empty()).then_some(granted))
        .chain(folder);
    Ok(Finding::ok(format!("from {issuer}{age}"))
        .details(lines)
        .fact("isStored", true)
        .fact("issuer", issuer.clone())
        .fact("ageSeconds", stored.age())
        .fact("secondsLeft", stored.left())
        .fact("canBeRenewed", *can_be_renewed)
        .fact("scopes", scopes.clone()))
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
            (true, _) => "the server takes what is sent",
            (false, true) => "the session opens without a token; calls may need one",
            (false, false) => "the server wants none",
        });
    };
    let status = finding.facts.get("httpStatus").and_then(serde_json::Value::as_u64);
    let head = checkup.head(status.and_then(|status| u16::try_from(status).ok()));
    let Some((_, _, head)) = head else { return finding };
    if can_sign_in && status == Some(401) {
        let url = checkup.url().clone();
        let text = if has_sent {
            "the server refuses the token, and it cannot be renewed: sign in again"
        } else {
            "nobody has signed in yet"
        };
        let hint = format!(
            "Run `mcpline login {}` with the options of this check. Or use the server from your \
             program: the page to sign in at then opens by itself.",
            crate::redact::shown(&url)
        );
        finding = Finding { text: text.to_owned(), hint: Some(hint), ..finding };
    }
    let mut lines = Vec::new();
    if !head.schemes.is_empty() {
        lines.push(format!("the server offers {}", head.schemes.join(", ")));
    }
    if let Some(metadata) = &head.resource_metadata
        && !can_sign_in
    {
        lines.push(format!("sign-in by OAuth is described at {metadata}"));
    }
    lines.extend(about_server(head.server.as_deref()));
    lines.push(
        if has_sent { "credentials were sent" } else { "no credentials were sent" }.to_owned(),
    );
    let finding = finding.details(lines).fact("offers", head.schemes);
    match head.resource_metadata {
        Some(metadata) => finding.fact("resourceMetadata", metadata),
        None => finding,
    }
}
