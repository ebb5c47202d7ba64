//! Where Stripe's payments become tokens: the shell around the crate `billing`.
//!
//! Begun: what a webhook has to prove, and what is read of it. Inbox, worker and the calls to Stripe and to
//! token-service come next.

pub mod stripe;
