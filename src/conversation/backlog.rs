//! A queue that knows how much memory its items hold.

use std::collections::VecDeque;

/// Items in the order of their arrival, each with its size in bytes.
pub(super) struct Backlog<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Backlog<T> {
    pub(super) fn push(&mut self, size: usize, item: T) {
        self.bytes += size;
        self.items.push_back((size, item));
    }

    /// Puts an item back that was in front.
    pub(super) fn push_front(&mut self, size: usize, item: T) {
        self.bytes += size;
        self.items.push_front((size, item));
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.items.pop_front().map(|entry| self.take(entry))
    }

    /// Removes the first item that `is_meant`.
    pub(super) fn remove(&mut self, is_meant: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.items.iter().position(|(_, item)| is_meant(item))?;
        self.items.remove(at).map(|entry| self.take(entry))
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The bytes that all items hold together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self, (size, item): (usize, T)) -> T {
        self.bytes -= size;
        item
    }
}
