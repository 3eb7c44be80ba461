//! Finds the authorization server of an upstream (MCP, "Authorization Server Discovery").

use reqwest::header::LOCATION;
use url::Url;

use super::hints::{Hints, add_scopes, scopes_in};
use super::metadata::{Resource, Server, ServerDocument, resource_places, server_places};
use super::problem::Problem;
use super::reach::Reach;
use super::settings::{ResourceId, Settings};
use crate::http::{Page, Web};
use crate::redact;

/// Redirects followed for one document.
const MAX_REDIRECTS: usize = 3;

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

/// What one place holds.
enum Document<T> {
    Found(T),
    None,
    /// The server is not well: whether there is a document cannot be told.
    Broken(Problem),
}

impl Discovery<'_> {
    /// The authorization server that `hints` or the upstream's metadata lead to; `None` if the
    /// upstream has none.
    ///
    /// # Errors
    /// What is published cannot be used, or the servers cannot be reached.
    pub(super) async fn run(&self, hints: &Hints) -> Result<Option<Found>, Problem> {
        let resource = self.resource(hints).await?;
        self.server(resource, hints).await
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
        let issuer = match &self.settings.issuer {
            Some(issuer) => issuer.clone(),
            None => self.upstream.origin().ascii_serialization(),
        };
        // Servers of revision 2025-03-26: metadata at the root of the origin, for some below the path.
        let base = self.reach.url(&issuer, "the authorization server")?;
        let mut places = server_places(&base);
        if self.settings.issuer.is_none() {
            let below = server_places(self.upstream);
            places.splice(0..0, below.into_iter().take(1));
        }
        if let Some(server) = self.server_at(&places, &issuer).await? {
            return Ok(Some(self.found(server, None, hints, false)));
        }
        if self.settings.issuer.is_some() {
            return Err(Problem::new(
                format!("there are no metadata of the issuer `{issuer}`"),
                "Check --oauth-issuer.",
            ));
        }
        if !hints.is_bearer && !self.settings.is_forced {
            return Ok(None);
        }
        let server = Server::check(ServerDocument::assumed(&base), &issuer, self.reach)?;
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
                resource.map_or_else(|| self.settings.configured_url.clone(), |found| found.id),
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
            match self.document(&place, check).await? {
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
        let mut problem = None;
        for issuer in issuers {
            let found = async {
                let base = self.reach.url(issuer, "the authorization server")?;
                self.server_at(&server_places(&base), issuer).await
            };
            match found.await {
                Ok(Some(server)) => return Ok(server),
                Ok(None) => {
                    problem.get_or_insert_with(|| {
                        Problem::new(
                            format!(
                                "the authorization server {} publishes no metadata",
                                redact::without_secrets(issuer)
                            ),
                            "Tell the administrator of the server, or name its issuer with \
                             --oauth-issuer.",
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
                "Name its issuer with --oauth-issuer, or tell the server's administrator.",
            )
        }))
    }

    async fn server_at(&self, places: &[Url], issuer: &str) -> Result<Option<Server>, Problem> {
        let mut broken = None;
        for place in places {
            let check = |body: &[u8]| Server::read(body, issuer, self.reach);
            match self.document(place, check).await? {
                Document::Found(server) => return Ok(Some(server)),
                Document::None => {}
                Document::Broken(problem) => broken = Some(problem),
            }
        }
        broken.map_or(Ok(None), Err)
    }

    /// What `place` holds. A 5xx may come from a gateway that knows no such route, so the next place
    /// is asked after it.
    async fn document<T>(
        &self,
        place: &Url,
        check: impl Fn(&[u8]) -> Result<Option<T>, Problem>,
    ) -> Result<Document<T>, Problem> {
        let page = match self.get(place).await {
            Ok(page) => page,
            Err(problem) => return Ok(Document::Broken(problem)),
        };
        if page.status.is_server_error() {
            let shown = redact::shown(place);
            let what = format!("{shown} answered with HTTP {}", page.status);
            return Ok(Document::Broken(Problem::passing(what, "Try again in a while.")));
        }
        if !page.status.is_success() {
            return Ok(Document::None);
        }
        Ok(check(&page.body)?.map_or(Document::None, Document::Found))
    }

    /// Gets `place`, following redirects as far as they stay within reach.
    async fn get(&self, place: &Url) -> Result<Page, Problem> {
        let mut url = place.clone();
        let mut redirects = 0;
        loop {
            tracing::debug!("sign-in: asking {}", redact::shown(&url));
            let page = self.web.get(&url).await.map_err(|error| Problem::of_failure(&error))?;
            let location = page.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let target = location.and_then(|location| url.join(location).ok());
            match target {
                Some(target) if page.status.is_redirection() && redirects < MAX_REDIRECTS => {
                    url = self.reach.url(target.as_str(), "the target of a redirect")?;
                    redirects += 1;
                }
                _ => return Ok(page),
            }
        }
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
