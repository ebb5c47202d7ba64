//! token-service: balances and an immutable double-entry ledger, over gRPC.
//!
//! The rules are in the crate `ledger`; this crate is the shell around them. A call goes through
//! [`grpc`] (wire types become commands), the [`committer`] (commands become batches) and the
//! [`store`] (batches become rows).

pub mod audit;
pub mod checkpoint;
pub mod clock;
pub mod committer;
pub mod config;
pub mod events;
pub mod export;
pub mod grpc;
pub mod health;
pub mod identity;
pub mod keys;
mod lanes;
pub mod limits;
pub mod listener;
pub mod policy;
pub mod reader;
pub mod serve;
pub mod store;
pub mod sweeper;
pub mod telemetry;
pub mod welcome;
