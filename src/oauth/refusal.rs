//! What an authorization server says when it refuses (RFC 6749 sections 4.1.2.1 and 5.2), and what a
//! person can do about it.

use serde::Deserialize;

use super::attempt::Ending;
use super::metadata::lenient;
use super::problem::Problem;
use crate::hint::Hint;
use crate::http::{Page, excerpt, shorten};
use crate::jsonrpc::of_json;

const PASSES: Hint = Hint::both(
    "The authorization server is not well: try again in a while.",
    "Сервер авторизации неисправен: повторите позже.",
);

const SIGN_IN_AGAIN: Hint = Hint::both(
    "To try again, run `mcpline login` with the same address, or restart the client.",
    "Чтобы попробовать ещё раз, выполните `mcpline login` с тем же адресом или перезапустите клиент.",
);

const OTHER: Hint = Hint::both(
    "Try again with `mcpline login`, and tell the server's administrator.",
    "Попробуйте ещё раз через `mcpline login` и сообщите администратору сервера.",
);

/// What to do, by the words of known services, which are looked for first, and by the error's code.
const ADVICE: &[(&str, Hint)] = &[
    (
        "AADSTS9010010",
        Hint::both(
            "Set MCPLINE_OAUTH_RESOURCE to none: this server of Microsoft takes no `resource`.",
            "Задайте MCPLINE_OAUTH_RESOURCE=none: этот сервер Microsoft не принимает `resource`.",
        ),
    ),
    (
        "AADSTS90094",
        Hint::both(
            "An administrator of the organisation has to approve this application in Entra ID.",
            "Администратор организации должен одобрить это приложение в Entra ID.",
        ),
    ),
    (
        "no_matching_policy",
        Hint::both(
            "In Okta a rule of the authorization server's access policy must allow this client and \
             these scopes: tell its administrator.",
            "В Okta правило политики доступа сервера авторизации должно разрешать этого клиента и эти \
             scope: сообщите администратору.",
        ),
    ),
    (
        "Service not found",
        Hint::both(
            "In Auth0 an API with this identifier must exist: name it with --oauth-resource or \
             --oauth-param audience=IDENTIFIER.",
            "В Auth0 должен быть API с таким идентификатором: задайте его через --oauth-resource или \
             --oauth-param audience=ИДЕНТИФИКАТОР.",
        ),
    ),
    (
        "redirect_uri",
        Hint::both(
            "Register exactly this redirect URI for the client there, or set MCPLINE_OAUTH_REDIRECT to \
             the one that is registered.",
            "Зарегистрируйте там для клиента именно этот адрес возврата или задайте в \
             MCPLINE_OAUTH_REDIRECT тот, что зарегистрирован.",
        ),
    ),
    (
        "invalid_client",
        Hint::both(
            "Check the client id and secret (MCPLINE_OAUTH_CLIENT_ID, MCPLINE_OAUTH_CLIENT_SECRET); \
             where none are set, run `mcpline login`, which registers again.",
            "Проверьте id и секрет клиента (MCPLINE_OAUTH_CLIENT_ID, MCPLINE_OAUTH_CLIENT_SECRET); если \
             они не заданы, выполните `mcpline login`: клиент будет зарегистрирован заново.",
        ),
    ),
    (
        "unauthorized_client",
        Hint::both(
            "The server does not let this client sign in this way: check there that it is a native or \
             desktop client with this redirect URI and this grant, and check MCPLINE_OAUTH_CLIENT_ID; \
             where none is set, run `mcpline login`, which registers again.",
            "Сервер не даёт этому клиенту входить таким способом: проверьте там тип (desktop), адрес \
             возврата и grant клиента, а также MCPLINE_OAUTH_CLIENT_ID; если он не задан, выполните \
             `mcpline login`: клиент будет зарегистрирован заново.",
        ),
    ),
    (
        "invalid_scope",
        Hint::both(
            "Name the scopes that the server has with --oauth-scope.",
            "Укажите scope, которые есть у сервера, через --oauth-scope.",
        ),
    ),
    (
        "invalid_target",
        Hint::both(
            "Name the resource with --oauth-resource, or set it to none.",
            "Укажите ресурс через --oauth-resource или задайте none.",
        ),
    ),
    (
        "invalid_grant",
        Hint::both(
            "Sign in again. If it happens again, check that the clock of this machine is right.",
            "Войдите ещё раз. Если повторится, проверьте часы этого компьютера.",
        ),
    ),
    ("temporarily_unavailable", PASSES),
    ("server_error", PASSES),
    ("access_denied", SIGN_IN_AGAIN),
];

/// An error of an authorization server.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    /// The error's code; empty if the answer is none that the standards know.
    #[serde(deserialize_with = "text")]
    pub(super) error: String,
    #[serde(deserialize_with = "text")]
    error_description: String,
    #[serde(skip)]
    status: u16,
    /// What a body that is no such answer says.
    #[serde(skip)]
    page: String,
}

impl Refusal {
    /// The refusal in `page`. Of an answer that may hold a token, nothing but its error is taken.
    pub(super) fn of(page: &Page) -> Self {
        let object = of_json::<Self>(&page.body);
        let may_hold_secrets = page.status.is_success();
        let mut refusal = object.unwrap_or_default();
        refusal.status = page.status.as_u16();
        if refusal.error.is_empty() && !may_hold_secrets {
            // A JSON object without words for a person is nothing to quote.
            refusal.page = excerpt(&page.body, None);
            if refusal.page.starts_with('{') {
                refusal.page.clear();
            }
        }
        refusal
    }

    /// The refusal in a redirect.
    pub(super) fn of_redirect(error: &str, description: Option<&str>) -> Self {
        let description = description.unwrap_or_default();
        Self {
            error: error.to_owned(),
            error_description: description.to_owned(),
            ..Self::default()
        }
    }

    /// What the server says, shortened.
    pub(super) fn said(&self) -> String {
        match (self.error.as_str(), self.error_description.as_str()) {
            ("", _) if self.page.is_empty() && self.status < 300 => {
                format!("HTTP {}, but not in the way of the standard", self.status)
            }
            ("", _) if self.page.is_empty() => format!("HTTP {}", self.status),
            ("", _) => format!("HTTP {}: {}", self.status, shorten(&self.page)),
            (error, "") => shorten(error),
            (error, description) => shorten(&format!("{error}: {description}")),
        }
    }

    /// Whether the server does not know the client any more.
    pub(super) fn is_of_client(&self) -> bool {
        matches!(self.error.as_str(), "invalid_client" | "unauthorized_client")
    }

    /// Whether it is a refusal in the words of the standards, and not the page of a gateway or of a
    /// server that is not well.
    pub(super) fn is_final(&self) -> bool {
        !matches!(self.error.as_str(), "" | "temporarily_unavailable" | "server_error")
    }

    /// The problem for a person, with the server's `issuer`.
    pub(super) fn to_problem(&self, issuer: &str) -> Problem {
        let said = self.said();
        let by_words = |(key, _): &&(&str, Hint)| said.contains(key) && !is_code(key);
        let by_code = |(key, _): &&(&str, Hint)| self.error == *key;
        let row = ADVICE.iter().find(by_words).or_else(|| ADVICE.iter().find(by_code));
        let hint = row.map_or(OTHER, |(_, hint)| hint.clone());
        let what = match self.error.as_str() {
            "access_denied" => format!("access was refused: {issuer} says {said}"),
            _ => format!("the authorization server {issuer} said {said}"),
        };
        let problem = Problem::new(what, hint);
        if self.is_final() { problem } else { problem.that_passes() }
    }

    /// What a sign-in has come to that ends with this.
    pub(super) fn to_ending(&self, issuer: &str) -> Ending {
        let problem = self.to_problem(issuer);
        if self.error == "access_denied" {
            Ending::Denied(problem)
        } else {
            Ending::Failed(problem)
        }
    }
}

/// Whether a key of [`ADVICE`] is a code of the standards, which may occur in any text.
fn is_code(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_lowercase())
        && !matches!(key, "no_matching_policy" | "redirect_uri")
}

fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    lenient(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    fn refusal(status: u16, body: &'static str) -> Refusal {
        let status = StatusCode::from_u16(status).unwrap();
        let body = Bytes::from_static(body.as_bytes());
        Refusal::of(&Page { status, headers: HeaderMap::new(), body })
    }

    #[test]
    fn an_answer_that_may_hold_a_token_is_not_quoted() {
        let rows = [
            (
                200,
                r#"{"access_token":"s3cret","token_type":"mac"}"#,
                "HTTP 200, but not in the way",
            ),
            (201, "s3cret", "HTTP 201, but not in the way"),
            (200, r#"{"error":"bad_code","access_token":"s3cret"}"#, "bad_code"),
            (400, r#"{"refresh_token":"s3cret"}"#, "HTTP 400"),
            (400, r#"{"error":{"code":1},"message":"no such client"}"#, "no such client"),
            (403, "<h1>Policy</h1> 'Trusted Hosts' rejected", "Policy 'Trusted Hosts' rejected"),
            (400, r#"{"error":"invalid_grant","error_description":["x"]}"#, "invalid_grant"),
        ];
        for (status, body, told) in rows {
            let said = refusal(status, body).said();
            assert!(said.contains(told) && !said.contains("s3cret"), "{body}: {said}");
        }
    }

    #[test]
    fn what_to_do_is_told_by_the_words_of_a_service_before_the_code() {
        let rows = [
            (r#"{"error":"invalid_target","error_description":"AADSTS9010010: x"}"#, "none: this"),
            (r#"{"error":"access_denied","error_description":"Service not found: x"}"#, "Auth0"),
            (r#"{"error":"access_denied","error_description":"invalid_scope"}"#, "restart the"),
            (r#"{"error":"redirect_uri_mismatch"}"#, "Register exactly"),
            (r#"{"error":"unauthorized_client"}"#, "desktop"),
            (r#"{"error":"new_one"}"#, "tell the server's administrator"),
        ];
        for (body, told) in rows {
            let text = refusal(400, body).to_problem("https://a").text("https://h");
            assert!(text.contains(told), "{body}: {text}");
        }
    }
}
