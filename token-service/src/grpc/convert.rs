//! Where wire types stop: requests of `token.v1` become the ledger's commands, and what the ledger
//! says becomes answers. Pure, so that the rules can be tested against the contract without a server.
//!
//! [`command`] reads any request that is one command; [`Ask::answer`] writes what became of it.
//! [`Batch`] and [`Quote`] are several commands at once. Reads are read in [`query`]; what a message
//! of the contract is made from is in [`wire`], [`account`] and [`catalog`].

pub mod account;
mod ask;
mod batch;
pub mod catalog;
pub mod event;
mod fields;
mod funding;
pub mod query;
mod quote;
mod settings;
#[cfg(test)]
mod tests;
pub mod wire;

pub use ask::{Ask, command, effect, fingerprint};
pub use batch::Batch;
pub use fields::{Common, Fields, Terms};
pub use quote::Quote;
pub use settings::{set_settings, set_status};
