//! What will happen at which virtual instant: statuses, failures, template reviews. It only keeps
//! the order; the state carries the tasks out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::errors::Failure;

/// Something to do later.
#[derive(Debug)]
pub(crate) enum Task {
    /// The message left for the person.
    Sent(u64),
    /// The message reached the phone.
    Delivered(u64),
    /// The message will not arrive.
    Fail(u64, Box<Failure>),
    /// A template comes out of review.
    Review(Arc<str>),
    /// A webhook that was held back goes out at the latest now.
    ReleaseHeldBack,
}

#[derive(Debug)]
struct Due {
    at_ms: i64,
    order: u64,
    task: Task,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.order).cmp(&(other.at_ms, other.order))
    }
}

/// The tasks by instant, those of one instant in the order they were added. It holds at most two
/// tasks per remembered message and one per template, and is bounded by their bounds.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<Due>>,
    order: u64,
}

impl Agenda {
    /// Adds a task; true if it is now the next one, so that the sleeper must look again.
    pub(crate) fn add(&mut self, at_ms: i64, task: Task) -> bool {
        let is_next = self.next_ms().is_none_or(|next_ms| at_ms < next_ms);
        self.order += 1;
        self.heap.push(Reverse(Due { at_ms, order: self.order, task }));
        is_next
    }

    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.heap.peek().map(|Reverse(due)| due.at_ms)
    }

    /// Takes the next task if its time has come.
    pub(crate) fn take_due(&mut self, now_ms: i64) -> Option<Task> {
        if self.next_ms()? > now_ms {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due.task)
    }
}
