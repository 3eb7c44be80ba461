//! `subscriptions/listen` before a legacy upstream: the lists that may change are heard on its
//! listening stream, and each resource is subscribed to. A subscription outlives sessions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Inner, results};
use crate::background;
use crate::era::offered::Offered;
use crate::failure::{Cause, Class, Failure};
use crate::jsonrpc::{Message, RequestId, Response, to_json};
use crate::mcp::method::{self, CHANGING_LISTS, ChangingList, RESOURCE_FILTER};
use crate::mcp::{ResourceParams, code, meta};
use crate::retry::standing_pause;
use crate::upstream::json::Object;
use crate::upstream::{Client, Request, local};

/// What a client wants to hear of.
#[derive(Debug, Default, Clone, PartialEq)]
struct Filter {
    lists: Vec<&'static ChangingList>,
    resources: BTreeSet<String>,
}

impl Filter {
    /// The filter in the params of `subscriptions/listen`; `None` where it is missing or malformed.
    fn of(params: &str) -> Option<Self> {
        let params = Object::read(params)?;
        let wanted = Object::read(params.get("notifications")?)?;
        let is_choice =
            |list: &ChangingList| matches!(wanted.get(list.filter), None | Some("true" | "false"));
        if !CHANGING_LISTS.iter().all(is_choice) {
            return None;
        }
        let lists = CHANGING_LISTS.iter().filter(|list| wanted.get(list.filter) == Some("true"));
        let resources = wanted.get(RESOURCE_FILTER).unwrap_or("[]");
        Some(Self { lists: lists.collect(), resources: serde_json::from_str(resources).ok()? })
    }

    /// The part of it that the upstream can tell of.
    fn within(mut self, offered: &Offered) -> Self {
        self.lists.retain(|list| offered.lists.contains(list));
        if !offered.has_subscriptions {
            self.resources.clear();
        }
        self
    }

    fn text(&self) -> String {
        let mut object = Object::default();
        for list in &self.lists {
            object.set(list.filter, "true".to_owned());
        }
        if !self.resources.is_empty() {
            object.set(RESOURCE_FILTER, to_json(&self.resources));
        }
        object.text()
    }
}

/// A subscription that is being served.
pub(super) struct Subscription {
    /// The client's id for it.
    id: RequestId,
    /// The id of its request on the way.
    wire_id: RequestId,
    granted: Filter,
}

impl Subscription {
    /// Whether the client's request for it travels with `id`.
    pub(super) fn is(&self, id: &RequestId) -> bool {
        self.wire_id.matches(id)
    }

    /// Whether it asks for the notification `name`, about the resource `uri` if it is about one.
    pub(super) fn is_for(&self, name: &str, uri: Option<&str>) -> bool {
        match uri {
            // A server may name a part of what was subscribed to.
            Some(uri) => self.granted.resources.iter().any(|wanted| {
                uri == wanted || uri.starts_with(&format!("{}/", wanted.trim_end_matches('/')))
            }),
            None => self.granted.lists.iter().any(|list| list.changed == name),
        }
    }

    /// The notification `name` with `params` and the subscription's id.
    pub(super) fn tagged(&self, name: &str, mut params: Object<'_>) -> Message {
        let given = params.get("_meta").unwrap_or("{}").to_owned();
        let mut given = Object::read(&given).unwrap_or_default();
        given.set(meta::SUBSCRIPTION_ID, self.id.to_string());
        let given = given.text();
        params.set("_meta", given);
        Message::notification(name, &params.text())
    }

    fn acknowledgement(&self) -> Message {
        let mut params = Object::default();
        params.set("notifications", self.granted.text());
        self.tagged(method::ACKNOWLEDGED, params)
    }

    /// Everything that may have changed.
    fn possible_changes(&self) -> Vec<Message> {
        let lists = self.granted.lists.iter();
        let lists = lists.map(|list| self.tagged(list.changed, Object::default()));
        let resources = self.granted.resources.iter().map(|uri| {
            let params = to_json(&ResourceParams { uri: uri.clone() });
            self.tagged(method::RESOURCE_UPDATED, Object::read(&params).unwrap_or_default())
        });
        lists.chain(resources).collect()
    }
}

/// How long later subscriptions wait for the upstream to be told that a resource is of no interest.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends a subscription when its request ends.
struct Served<'a> {
    inner: &'a Arc<Inner>,
    subscription: Arc<Subscription>,
    wire_id: &'a RequestId,
    /// Whether the next session goes on with it.
    goes_on: bool,
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let ears = &self.inner.ears;
        ears.subscriptions().retain(|other| !Arc::ptr_eq(other, &self.subscription));
        if self.goes_on {
            return;
        }
        self.inner.bridge.acknowledged().remove(self.wire_id);
    }
}

/// Resources that the upstream has been asked to tell of. When this is dropped, it is told of those
/// that no subscription has.
struct Resources<'a> {
    inner: &'a Arc<Inner>,
    uris: BTreeSet<String>,
}

impl Drop for Resources<'_> {
    fn drop(&mut self) {
        let inner = self.inner.clone();
        let uris = std::mem::take(&mut self.uris);
        if uris.is_empty() || inner.legacy.ended().is_cancelled() {
            return;
        }
        background::spawn(async move {
            let _turn = inner.subscribing.lock().await;
            for uri in uris {
                // The client may listen again already.
                if inner.is_subscribed(&uri) {
                    continue;
                }
                let asked = inner.subscribe(method::RESOURCES_UNSUBSCRIBE, &uri);
                let asked = tokio::time::timeout(PATIENCE, asked).await;
                tracing::debug!(uri, is_done = matches!(asked, Ok(Ok(_))), "unsubscribed");
            }
        });
    }
}

impl Inner {
    /// Serves the client's subscription until the client takes it back, or the session ends.
    pub(super) async fn listen_for(
        self: &Arc<Self>,
        request: &Request,
    ) -> Result<Response, Failure> {
        let Some(wanted) = Filter::of(local::params(&request.message)) else {
            return Ok(local::error(
                code::INVALID_PARAMS,
                "`notifications` is missing or malformed",
            ));
        };
        let mut granted = wanted.within(&self.offered);
        let turn = self.subscribing.lock().await;
        let mut resources = Resources { inner: self, uris: BTreeSet::new() };
        for uri in granted.resources.clone() {
            resources.uris.insert(uri.clone());
            if self.is_subscribed(&uri) {
                continue;
            }
            let answer = self.subscribe(method::RESOURCES_SUBSCRIBE, &uri).await?;
            if answer.error().is_some() {
                let error = answer.error().map(local::text).unwrap_or_default();
                tracing::info!("the upstream refuses a subscription to {uri}: {error}");
                granted.resources.remove(&uri);
                resources.uris.remove(&uri);
            }
        }
        let id = request.message.id().unwrap_or(&request.wire_id).clone();
        let wire_id = &request.wire_id;
        let subscription = Arc::new(Subscription { id, wire_id: wire_id.clone(), granted });
        let is_first = self.bridge.acknowledged().insert(wire_id.clone());
        let mut served =
            Served { inner: self, subscription: subscription.clone(), wire_id, goes_on: false };
        let client = self.ears.client();
        if is_first {
            client.notify(subscription.acknowledgement()).await;
            self.ears.subscriptions().push(subscription);
        } else {
            self.ears.subscriptions().push(subscription.clone());
            for message in subscription.possible_changes() {
                client.notify(message).await;
            }
        }
        drop(turn);
        self.left.cancelled().await;
        served.goes_on = true;
        resources.uris.clear();
        drop(served);
        let losses = self.bridge.idle_losses.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(standing_pause(losses)).await;
        let what = "the session has ended";
        Err(Failure::new(Class::SessionLost, Cause::Interrupted, what))
    }

    /// Whether a subscription of the client has this resource.
    fn is_subscribed(&self, uri: &str) -> bool {
        let subscriptions = self.ears.subscriptions();
        subscriptions.iter().any(|one| one.granted.resources.contains(uri))
    }

    async fn subscribe(&self, method: &str, uri: &str) -> Result<Response, Failure> {
        let id = self.bridge.own_id();
        let params = to_json(&ResourceParams { uri: uri.to_owned() });
        let ask = Message::request(id.clone(), method, &params);
        let answer = self.legacy.exchange(&Request::new(ask, id)).await?;
        Ok(results::response(method, answer))
    }
}

impl Inner {
    /// Tells every subscription what may have changed, each time that there was a gap in what
    /// `heard` hears.
    pub(super) fn tell_of_gaps(self: &Arc<Self>, heard: Client) {
        let inner = Arc::downgrade(self);
        let ended = self.legacy.ended().clone();
        let telling = async move {
            loop {
                heard.gap().await;
                let Some(inner) = inner.upgrade() else { return };
                let served: Vec<_> = inner.ears.subscriptions().clone();
                for message in served.iter().flat_map(|one| one.possible_changes()) {
                    inner.ears.client().notify(message).await;
                }
            }
        };
        background::spawn(
            async move { ended.run_until_cancelled(telling).await.unwrap_or_default() },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_upstream_offers_is_granted() {
        let capabilities =
            r#"{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true}}"#;
        let offered = Offered::of(&Object::read(capabilities).unwrap());
        let wanted = Filter::of(
            r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a:1"]}}"#,
        )
        .unwrap();
        let granted = wanted.within(&offered);
        assert_eq!(granted.text(), r#"{"toolsListChanged":true,"resourceSubscriptions":["a:1"]}"#);
        let id = RequestId::number(7);
        let subscription = Subscription { id: id.clone(), wire_id: id, granted };
        assert!(subscription.is_for(method::TOOLS_CHANGED, None));
        assert!(!subscription.is_for(method::PROMPTS_CHANGED, None));
        assert!(subscription.is_for(method::RESOURCE_UPDATED, Some("a:1")));
        assert!(!subscription.is_for(method::RESOURCE_UPDATED, Some("a:2")));
        assert_eq!(
            subscription.acknowledgement().text(),
            r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:1"]},"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#
        );
    }
}
