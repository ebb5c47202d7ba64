//! What has to be undone when a call fails: nothing of it may stay behind.
//!
//! A call changes the world as it goes. Before anything is touched for the first time, the journal keeps how
//! it was; a refusal puts it back, events and deliveries included. A declined payment isn't one: it happened.

use crate::{fail::Fail, kind::Kind, timers::Timer, world::World};
use serde_json::Value;
use std::collections::HashMap;

/// How things were before a call.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Objects that were changed, made or deleted; None: it wasn't there.
    objects: HashMap<String, Option<Value>>,
    added: Vec<(Kind, String)>,
    removed: Vec<(Kind, usize, String)>,
    timers: Vec<(i64, Timer)>,
    deliveries: Vec<u64>,
}

impl Journal {
    /// An object is about to be touched.
    pub(crate) fn touch(&mut self, id: &str, now: Option<&Value>) {
        if !self.objects.contains_key(id) {
            self.objects.insert(id.to_owned(), now.cloned());
        }
    }

    /// It was listed.
    pub(crate) fn add(&mut self, kind: Kind, id: &str) {
        self.added.push((kind, id.to_owned()));
    }

    /// It isn't listed any more: it was the so-manieth.
    pub(crate) fn remove(&mut self, kind: Kind, at: usize, id: &str) {
        self.removed.push((kind, at, id.to_owned()));
    }

    /// A timer was set.
    pub(crate) fn time(&mut self, due: i64, timer: Timer) {
        self.timers.push((due, timer));
    }

    /// A delivery was sent.
    pub(crate) fn send(&mut self, delivery: u64) {
        self.deliveries.push(delivery);
    }
}

impl World {
    /// Does something whole, or not at all.
    pub(crate) fn attempt<T>(
        &mut self,
        act: impl FnOnce(&mut World) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        self.journal = Some(Journal::default());
        let done = act(self);
        match &done {
            Err(fail) if !fail.happened => self.roll_back(),
            _ => self.journal = None,
        }
        done
    }

    /// Puts everything back that was touched since the attempt began.
    pub(crate) fn roll_back(&mut self) {
        let Some(journal) = self.journal.take() else { return };
        for (kind, id) in journal.added.iter().rev() {
            self.unlist(*kind, id);
        }
        for (kind, at, id) in journal.removed.into_iter().rev() {
            self.relist(kind, at, id);
        }
        for (id, before) in journal.objects {
            self.put_back(id, before);
        }
        for (due, timer) in journal.timers {
            self.forget_timer(due, &timer);
        }
        for delivery in journal.deliveries {
            self.outbox.recall(delivery);
        }
    }
}
