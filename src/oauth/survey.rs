//! What a sign-in rests on, found without asking a person and without registering: for a command that
//! explains it.

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};

use super::SignIn;
use super::client::Client;
use super::clock::unix_time;
use super::discovery::{Discovery, Found};
use super::flow;
use super::hints::Hints;
use super::metadata::Server;
use super::problem::Problem;
use super::register;
use super::settings::Grant;

/// What a sign-in rests on.
pub(crate) struct Survey {
    /// What the refusal says, if there was one.
    pub(crate) challenge: Option<Challenged>,
    /// The metadata of the upstream.
    pub(crate) resource: Result<Option<ResourceFound>, Problem>,
    /// The authorization server; `None` where none was looked for, or there is none.
    pub(crate) server: Result<Option<ServerFound>, Problem>,
    /// Who we are, or could be, at that server.
    pub(crate) client: Option<Result<ClientFound, Problem>>,
    /// What is kept from the last sign-in.
    pub(crate) stored: Result<Option<Stored>, Problem>,
    /// The address of a sign-in that waits for a person.
    pub(crate) pending: Option<String>,
    /// Where sign-ins are kept; `None` where the system names no place.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) grant: Grant,
}

/// What a refusal says of how to sign in.
pub(crate) struct Challenged {
    pub(crate) is_bearer: bool,
    pub(crate) metadata: Option<String>,
    pub(crate) scope: Option<String>,
}

/// The metadata of the upstream.
pub(crate) struct ResourceFound {
    pub(crate) id: String,
    pub(crate) issuers: Vec<String>,
    pub(crate) scopes: Vec<String>,
}

/// An authorization server, and what is asked of it.
pub(crate) struct ServerFound {
    pub(crate) issuer: String,
    /// Its endpoints, by what they are for.
    pub(crate) endpoints: Vec<(&'static str, String)>,
    /// Whether its endpoints are only assumed.
    pub(crate) is_assumed: bool,
    /// Whether it says that it checks PKCE by S256.
    pub(crate) has_s256: bool,
    pub(crate) takes_client_documents: bool,
    /// The scopes that are asked for.
    pub(crate) scopes: Vec<String>,
    /// `resource` in requests to it.
    pub(crate) resource: Option<String>,
    /// What keeps us from signing in there, whatever the client.
    pub(crate) problem: Option<Problem>,
}

/// Who we are at an authorization server.
pub(crate) enum ClientFound {
    /// The user has given the client, with or without a secret or key.
    Given { id: String, proves_by: &'static str },
    /// We have registered it before.
    Registered { id: String },
    /// The server registers clients by itself.
    CanRegister,
}

/// What is kept from the last sign-in. Times are in seconds since 1970.
pub(crate) struct Stored {
    pub(crate) issuer: String,
    pub(crate) obtained_at: Option<u64>,
    pub(crate) expires_at: Option<u64>,
    /// Whether it can be renewed without a person.
    pub(crate) can_be_renewed: bool,
    pub(crate) scopes: Vec<String>,
}

impl Stored {
    /// How long ago it was obtained, in seconds.
    pub(crate) fn age(&self) -> Option<u64> {
        self.obtained_at.map(|at| unix_time().saturating_sub(at))
    }

    /// The seconds until it ends; 0 once it has.
    pub(crate) fn left(&self) -> Option<u64> {
        self.expires_at.map(|at| at.saturating_sub(unix_time()))
    }
}

impl Survey {
    /// Whether nothing speaks of a sign-in by OAuth.
    pub(crate) fn is_empty(&self) -> bool {
        let is_challenged = self.challenge.as_ref().is_some_and(|it| it.is_bearer);
        !is_challenged
            && matches!(self.resource, Ok(None))
            && matches!(self.server, Ok(None))
            && matches!(self.stored, Ok(None))
    }
}

impl SignIn {
    /// Looks at what a sign-in rests on; `refusal` is the status of the upstream's refusal and its
    /// challenges, if it has refused.
    pub(crate) async fn survey(
        self: &Arc<Self>,
        refusal: Option<(StatusCode, &[HeaderValue])>,
    ) -> Survey {
        let hints = refusal.map(|(status, challenges)| {
            let fields = challenges.iter().map(|value| (WWW_AUTHENTICATE, value.clone()));
            Hints::of(status, &fields.collect())
        });
        let challenge = hints.as_ref().map(|hints| Challenged {
            is_bearer: hints.is_bearer,
            metadata: hints.metadata.clone(),
            scope: hints.scope.clone(),
        });
        let hints = hints.unwrap_or_default();
        let record = self.credentials.store.load();
        let known = record.as_ref().ok().and_then(Option::as_ref);
        let stored = known.and_then(|record| {
            let tokens = record.tokens()?;
            Some(Stored {
                issuer: record.issuer.clone()?,
                obtained_at: tokens.obtained_at,
                expires_at: tokens.expires_at,
                can_be_renewed: tokens.refresh.is_some(),
                scopes: tokens.scopes.clone(),
            })
        });
        let mut survey = Survey {
            challenge,
            resource: Ok(None),
            server: Ok(None),
            client: None,
            stored: record.as_ref().map(|_| stored).map_err(Clone::clone),
            pending: self
                .credentials
                .store
                .shared()
                .ok()
                .and_then(|it| it.place())
                .map(|it| it.url),
            folder: self.settings.state_dir.clone(),
            grant: self.settings.grant,
        };
        if hints.is_other && !self.settings.is_forced {
            return survey;
        }
        let discovery = Discovery {
            web: &self.web,
            upstream: &self.upstream,
            reach: &self.reach,
            settings: &self.settings,
            known_issuer: known.and_then(|record| record.issuer.as_deref()),
        };
        let resource = match discovery.resource(&hints).await {
            Ok(resource) => resource,
            Err(problem) if !discovery.is_expected(&hints) && !problem.passes() => return survey,
            Err(problem) => {
                survey.resource = Err(problem);
                return survey;
            }
        };
        survey.resource = Ok(resource.as_ref().map(|resource| ResourceFound {
            id: resource.id.clone(),
            issuers: resource.issuers.clone(),
            scopes: resource.scopes.clone(),
        }));
        match discovery.server(resource, &hints).await {
            Ok(Some(found)) => {
                let registered = known.and_then(|record| {
                    let section = record.servers.get(found.server.issuer())?;
                    Some(section.client.clone()).filter(Client::is_registered)
                });
                survey.client =
                    Some(self.client_found(&found.server, registered, discovery.known_issuer));
                survey.server = Ok(Some(self.server_found(found)));
            }
            Ok(None) => {}
            Err(problem) => survey.server = Err(problem),
        }
        survey
    }

    fn server_found(&self, found: Found) -> ServerFound {
        let resource = flow::resource_for(&found);
        let Found { server, scopes, is_assumed, .. } = found;
        let endpoints = [
            ("authorization", server.authorization.as_ref()),
            ("token", Some(&server.token)),
            ("registration", server.registration.as_ref()),
            ("device", server.device.as_ref()),
            ("revocation", server.revocation.as_ref()),
        ];
        let endpoints =
            endpoints.into_iter().filter_map(|(name, url)| Some((name, url?.to_string())));
        let problem = match self.settings.grant {
            Grant::Code => flow::page_of(&server, &self.settings).err(),
            Grant::Device if server.device.is_none() => Some(super::device::missing(&server)),
            Grant::Device | Grant::ClientCredentials => None,
        };
        ServerFound {
            issuer: server.issuer().to_owned(),
            endpoints: endpoints.collect(),
            is_assumed,
            has_s256: server.has_s256(),
            takes_client_documents: server.takes_client_documents(),
            scopes,
            resource,
            problem,
        }
    }

    fn client_found(
        &self,
        server: &Server,
        registered: Option<Client>,
        known: Option<&str>,
    ) -> Result<ClientFound, Problem> {
        if let Some(client) = Client::given(&self.settings, server, known)? {
            let proves_by = client.method.name();
            return Ok(ClientFound::Given { id: client.id, proves_by });
        }
        if self.settings.grant == Grant::ClientCredentials {
            return Err(super::renew::no_own_client());
        }
        match (registered, &server.registration) {
            (Some(client), _) => Ok(ClientFound::Registered { id: client.id }),
            (None, Some(_)) => Ok(ClientFound::CanRegister),
            (None, None) => {
                Err(register::registers_nobody(server, self.settings.redirect.as_ref()))
            }
        }
    }
}
