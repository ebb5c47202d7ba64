//! Payments from outside: the gateway's executable, the ledger's, and a Stripe that can be moved.

mod clawback;
mod crashes;
mod events;
mod events_async;
mod events_damaged;
mod events_mismatch;
mod inbox;
mod judge;
mod ledger;
mod limits;
mod operators;
mod ownership;
mod payment_intents;
mod plan;
mod purchase;
mod purchase_again;
mod readiness;
mod reconciliation;
mod refunds;
mod routes;
mod signatures;
mod storm;
mod user;
mod visitors;
mod wait;
mod world;
