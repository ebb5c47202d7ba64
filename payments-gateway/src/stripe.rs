//! Stripe, as far as it talks to us: its signatures, and its events.

pub mod event;
pub mod signature;
