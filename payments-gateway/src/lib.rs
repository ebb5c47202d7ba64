//! Where Stripe's payments become tokens: the shell around the crate `billing`.
//!
//! ```text
//!  http ─▶ purchases ─▶ stripe                 what is bought, written down before Stripe hears of it
//!  http (webhook) ─▶ intake ─▶ store (inbox)   kept, then answered
//!  reconciler ──────────┘           │
//!                                 worker ─▶ settle ─▶ stripe (how does it stand?) ─▶ billing ─▶ ledger
//! ```
//!
//! See README.md for the rules, ARCHITECTURE.md of the whole for why.

pub mod clock;
pub mod config;
pub mod http;
pub mod intake;
pub mod ledger;
pub mod operators;
pub mod purchases;
pub mod reconciler;
pub mod serve;
pub mod settle;
pub mod store;
pub mod stripe;
pub mod telemetry;
pub mod worker;
