//! What a refusal says of how to sign in.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::http::challenges;

/// What a 401 or 403 says of how to sign in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// Where the metadata of the resource is.
    pub(super) metadata: Option<String>,
    /// The scopes that are needed.
    pub(super) scope: Option<String>,
    /// Whether a bearer token is asked for.
    pub(super) is_bearer: bool,
    /// Whether only other ways to log in are asked for.
    pub(super) is_other: bool,
    /// Whether the token lacks a scope.
    pub(super) is_insufficient: bool,
}

impl Hints {
    /// What `headers` of a refusal with `status` say.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let mut hints = Self::default();
        let challenges = challenges(headers, &WWW_AUTHENTICATE);
        for challenge in challenges.iter().filter(|challenge| challenge.is("Bearer")) {
            let param = |name| challenge.param(name).filter(|value| !value.is_empty());
            hints.is_bearer = true;
            hints.metadata =
                hints.metadata.or_else(|| param("resource_metadata").map(str::to_owned));
            hints.scope = hints.scope.or_else(|| param("scope").map(str::to_owned));
            hints.is_insufficient |= status == StatusCode::FORBIDDEN
                && param("error").is_some_and(|error| error == "insufficient_scope");
        }
        hints.is_other = !challenges.is_empty() && !hints.is_bearer;
        hints
    }
}

/// The scopes in `text`.
pub(super) fn scopes_in(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

/// Adds to `scopes` those in `more` that it lacks; returns whether there were any.
pub(super) fn add_scopes<'a>(
    scopes: &mut Vec<String>,
    more: impl IntoIterator<Item = &'a str>,
) -> bool {
    let before = scopes.len();
    for scope in more {
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes.len() > before
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn hints(status: u16, fields: &[&str]) -> Hints {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(field).unwrap());
        }
        Hints::of(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_challenge_says_where_to_sign_in() {
        let found = hints(
            401,
            &[
                "Negotiate, bearer realm=\"x\"",
                "Bearer resource_metadata=\"https://h/p\", scope=\"a b\"",
            ],
        );
        assert_eq!(found.metadata.as_deref(), Some("https://h/p"));
        assert_eq!(found.scope.as_deref(), Some("a b"));
        assert!(found.is_bearer && !found.is_other && !found.is_insufficient);
        assert!(hints(401, &["Basic realm=\"x\"", "Negotiate"]).is_other);
        assert_eq!(hints(401, &[]), Hints::default());
        assert!(hints(403, &["Bearer error=insufficient_scope, scope=c"]).is_insufficient);
        assert!(!hints(401, &["Bearer error=\"insufficient_scope\""]).is_insufficient);
        assert!(!hints(403, &["Bearer error=\"invalid_token\""]).is_insufficient);
    }
}
