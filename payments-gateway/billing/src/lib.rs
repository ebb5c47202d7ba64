//! The decisions of the gateway, and nothing else: no I/O, no clock, no dice, no async, nothing of ours.
//!
//! What Stripe says is told to it as facts, read anew: how things stand, never what happened. So a decision is
//! the same whichever event asked for it, however late, however often. It answers what to do about a purchase:
//! credit it, wait, close it, call an operator; and how many tokens go back when money went back.
//!
//! - Tokens come from the purchase, as it was quoted; money comes from Stripe; if the two don't fit, nothing is
//!   credited and an operator is told every difference.
//! - Money that is there is credited, even if the purchase was given up before.
//! - What is credited is never decided again: only what goes back is.
//!
//! Amounts are in minor units of their currency.

#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]

mod clawback;
mod fulfilment;

pub use clawback::{Dispute, DisputeStatus, MoneyBack, Refund, RefundStatus, returned, target};
pub use fulfilment::{
    Decision, Difference, Intent, Line, Mode, PaymentStatus, Price, Quote, Session, SessionStatus,
    State, Why, decide,
};
