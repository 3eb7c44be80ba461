//! What a server can tell of, by its capabilities. Both eras name them in the same way.

use crate::mcp::method::{CHANGING_LISTS, ChangingList};
use crate::upstream::json::Object;

/// What a server can tell of.
pub(super) struct Offered {
    /// The lists whose changes it tells of.
    pub(super) lists: Vec<&'static ChangingList>,
    /// Whether it takes subscriptions to resources.
    pub(super) has_subscriptions: bool,
}

impl Offered {
    pub(super) fn of(capabilities: &Object<'_>) -> Self {
        let has = |name: &str, member: &str| {
            let one = capabilities.get(name).and_then(Object::read);
            one.is_some_and(|one| one.get(member) == Some("true"))
        };
        let lists = CHANGING_LISTS.iter().filter(|list| has(list.capability, "listChanged"));
        Self { lists: lists.collect(), has_subscriptions: has("resources", "subscribe") }
    }
}
