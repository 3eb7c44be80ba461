//! Finds the authorization server of an upstream (MCP, "Authorization Server Discovery").

use url::Url;

use super::document::{Document, document};
use super::hints::{Hints, add_scopes, scopes_in};
use super::metadata::{Server, ServerDocument, server_places};
use super::problem::Problem;
use super::reach::Reach;
use super::resource::{Resource, resource_places};
use super::settings::{ResourceId, Settings};
use crate::hint::Hint;
use crate::http::Web;
use crate::redact;

/// Authorization servers of one resource that are looked at: a hostile one may name any number.
const MAX_ISSUERS: usize = 8;

/// Where and for what to sign in.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) server: Server,
    /// `resource` in each request to the server (RFC 8707).
    pub(super) resource: Option<String>,
    /// The scopes to ask for.
    pub(super) scopes: Vec<String>,
    /// Whether the server's endpoints are only assumed.
    pub(super) is_assumed: bool,
}

/// Looks for what an upstream and its authorization server publish.
pub(super) struct Discovery<'a> {
    pub(super) web: &'a Web,
    pub(super) upstream: &'a Url,
    pub(super) reach: &'a Reach,
    pub(super) settings: &'a Settings,
    /// The issuer that was used last.
    pub(super) known_issuer: Option<&'a str>,
}

impl Discovery<'_> {
    /// The authorization server that `hints` or the upstream's metadata lead to; `None` if the
    /// upstream has none.
    ///
    /// # Errors
    /// What is published cannot be used, or the servers cannot be reached.
    pub(super) async fn run(&self, hints: &Hints) -> Result<Option<Found>, Problem> {
        let resource = match self.resource(hints).await {
            Ok(resource) => resource,
            // A server that knows nothing of OAuth may send every stranger elsewhere.
            Err(problem) if !self.is_expected(hints) && !problem.passes() => return Ok(None),
            Err(problem) => return Err(problem),
        };
        self.server(resource, hints).await
    }

    /// Whether the upstream, or the user, says that there is a sign-in.
    pub(super) fn is_expected(&self, hints: &Hints) -> bool {
        hints.is_bearer || self.settings.is_forced
    }

    /// The authorization server of `resource`, or where there is none, of the upstream's origin;
    /// `None` if there is none either.
    ///
    /// # Errors
    /// As for [`Discovery::run`].
    pub(super) async fn server(
        &self,
        resource: Option<Resource>,
        hints: &Hints,
    ) -> Result<Option<Found>, Problem> {
        if let Some(resource) = resource {
            let server = self.server_of(&resource).await?;
            return Ok(Some(self.found(server, Some(resource), hints, false)));
        }
        if let Some(issuer) = &self.settings.issuer {
            let server = self.server_named(issuer).await?.ok_or_else(|| {
                Problem::new(
                    format!("there are no metadata of the issuer `{issuer}`"),
                    Hint::both("Check --oauth-issuer.", "Проверьте --oauth-issuer."),
                )
            })?;
            return Ok(Some(self.found(server, None, hints, false)));
        }
        // Servers of revision 2025-03-26: metadata at the root of the origin, for some below the path.
        let origin = self.upstream.origin().ascii_serialization();
        let base = self.reach.url(&origin, "the authorization server")?;
        let below = self.settings.default_resource().trim_end_matches('/');
        let mut places = server_places(self.upstream);
        places.truncate(1);
        places.extend(server_places(&base));
        match self.server_at(&places, &[below, &origin]).await {
            Ok(Some(server)) => return Ok(Some(self.found(server, None, hints, false))),
            Ok(None) => {}
            Err(problem) if !self.is_expected(hints) && !problem.passes() => return Ok(None),
            Err(problem) => return Err(problem),
        }
        if !self.is_expected(hints) {
            return Ok(None);
        }
        let server = Server::check(ServerDocument::assumed(&base), &[&origin], self.reach)?;
        Ok(Some(self.found(server, None, hints, true)))
    }

    fn found(
        &self,
        server: Server,
        resource: Option<Resource>,
        hints: &Hints,
        is_assumed: bool,
    ) -> Found {
        let scopes = chosen_scopes(
            self.settings.scope.as_deref(),
            hints.scope.as_deref(),
            resource.as_ref().map_or(&[], |resource| &resource.scopes),
        );
        let resource = match &self.settings.resource {
            ResourceId::None => None,
            ResourceId::Given(id) => Some(id.clone()),
            // As it was configured: a parser would add a slash to a bare origin.
            ResourceId::Published => Some(
                resource
                    .map_or_else(|| self.settings.default_resource().to_owned(), |found| found.id),
            ),
        };
        Found { server, resource, scopes, is_assumed }
    }

    /// The upstream's own metadata: where the challenge says, else at the well-known places.
    ///
    /// # Errors
    /// They are those of another resource, or whether there are any cannot be told.
    pub(super) async fn resource(&self, hints: &Hints) -> Result<Option<Resource>, Problem> {
        let mut places = Vec::new();
        if let Some(text) = &hints.metadata {
            places.push(self.reach.url(text, "the address of its metadata")?);
        }
        places.extend(resource_places(self.upstream));
        let mut broken = None;
        for place in places {
            let check = |body: &[u8]| Resource::check(body, &place, self.upstream);
            match document(self.web, &place, check).await? {
                Document::Found(resource) => return Ok(Some(resource)),
                Document::None => {}
                Document::Broken(problem) => broken = Some(problem),
            }
        }
        broken.map_or(Ok(None), Err)
    }

    /// The first usable one of the authorization servers of `resource`, the one that was used last
    /// before the others.
    async fn server_of(&self, resource: &Resource) -> Result<Server, Problem> {
        let given = self.settings.issuer.as_ref();
        let mut issuers: Vec<_> = match given {
            Some(given) => vec![given],
            None => resource.issuers.iter().collect(),
        };
        issuers.sort_by_key(|issuer| Some(issuer.as_str()) != self.known_issuer);
        issuers.truncate(MAX_ISSUERS);
        let mut problem = None;
        for issuer in issuers {
            match self.server_named(issuer).await {
                Ok(Some(server)) => return Ok(server),
                Ok(None) => {
                    problem.get_or_insert_with(|| {
                        Problem::new(
                            format!(
                                "the authorization server {} publishes no metadata",
                                redact::without_secrets(issuer)
                            ),
                            Hint::both(
                                "Tell the administrator of the server, or name its issuer with \
                                 --oauth-issuer.",
                                "Сообщите администратору сервера или укажите issuer через \
                                 --oauth-issuer.",
                            ),
                        )
                    });
                }
                Err(other) => {
                    problem.get_or_insert(other);
                }
            }
        }
        Err(problem.unwrap_or_else(|| {
            Problem::new(
                "the server's metadata name no authorization server",
                Hint::both(
                    "Name its issuer with --oauth-issuer, or tell the server's administrator.",
                    "Укажите issuer через --oauth-issuer или сообщите администратору сервера.",
                ),
            )
        }))
    }

    async fn server_named(&self, issuer: &str) -> Result<Option<Server>, Problem> {
        let base = self.reach.url(issuer, "the authorization server")?;
        self.server_at(&server_places(&base), &[issuer]).await
    }

    /// The first document at `places`, which may be that of each of `issuers`.
    async fn server_at(&self, places: &[Url], issuers: &[&str]) -> Result<Option<Server>, Problem> {
        let mut broken = None;
        for place in places {
            let check = |body: &[u8]| Server::read(body, issuers, self.reach);
            match document(self.web, place, check).await? {
                Document::Found(server) => return Ok(Some(server)),
                Document::None => {}
                Document::Broken(problem) => broken = Some(problem),
            }
        }
        broken.map_or(Ok(None), Err)
    }
}

/// The scopes to ask for: those of the user, else of the challenge, else all that the resource has.
fn chosen_scopes(
    given: Option<&str>,
    challenged: Option<&str>,
    published: &[String],
) -> Vec<String> {
    let mut scopes = Vec::new();
    match given.or(challenged) {
        Some(text) => add_scopes(&mut scopes, scopes_in(text)),
        None => add_scopes(&mut scopes, published.iter().map(String::as_str)),
    };
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_chosen_as_the_specification_says() {
        let published = ["p1".to_owned(), "p2".to_owned()];
        let rows = [
            (None, Some("c1 c2"), &["c1", "c2"][..]),
            (None, None, &["p1", "p2"]),
            (Some("g"), Some("c1"), &["g"]),
            (None, Some("c1 c1"), &["c1"]),
        ];
        for (given, challenged, chosen) in rows {
            assert_eq!(chosen_scopes(given, challenged, &published), chosen);
        }
        assert!(chosen_scopes(None, None, &[]).is_empty());
    }
}
