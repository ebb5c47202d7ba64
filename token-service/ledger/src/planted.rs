//! Mistakes kept on purpose, so that the simulator can prove that it would find them.
//!
//! Without the feature `simulator` there are none: [`is`] is constantly false and vanishes. With it
//! a bug is planted in one thread, until its guard is dropped: tests that run side by side don't
//! notice each other, and the simulator's oracle runs this very code without the bug.

/// A mistake that somebody could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The committer answers whether or not the commit went well.
    ReplyBeforeCommit,
    /// The store doesn't keep a transaction's key beside its effect.
    KeyNotStored,
    /// A key that was used answers whatever it is used for.
    KeyWithoutContent,
    /// The committer reuses what it loaded before a commit that failed.
    StaleState,
    /// Commands are judged before what is due by time is posted.
    LapseNotPosted,
    /// A released hold gives its tokens back once more.
    ReleasedTwice,
    /// Grants are burnt down from the wrong end.
    DrawOrder,
    /// The store forgets the newest account rows when it crashes, but not their entries.
    SequenceReused,
    /// The store doesn't lock the account that a transfer goes to.
    ReceiverNotLocked,
    /// Followers are told before the commit, and read what isn't committed.
    WatchUncommitted,
}

/// Whether this bug is planted here.
#[cfg(not(feature = "simulator"))]
#[must_use]
pub const fn is(_: Bug) -> bool {
    false
}

#[cfg(feature = "simulator")]
pub use switch::{Planted, is, plant};

#[cfg(feature = "simulator")]
mod switch {
    use super::Bug;
    use std::{cell::Cell, marker::PhantomData};

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this bug is planted in this thread.
    #[must_use]
    pub fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Plants this bug in this thread, or none, until the guard is dropped.
    #[must_use]
    pub fn plant(bug: Option<Bug>) -> Planted {
        Planted { before: PLANTED.replace(bug), here: PhantomData }
    }

    /// While it lives the bug does.
    #[derive(Debug)]
    pub struct Planted {
        before: Option<Bug>,
        /// It stays in its thread.
        here: PhantomData<*const ()>,
    }

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.set(self.before);
        }
    }
}
