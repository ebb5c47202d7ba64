//! The rules of the ledger, and nothing else: no I/O, no clock, no dice, no async.
//!
//! The shell tells the core the time and what the database holds; the core answers what happened
//! and which rows to write. [`footprint`] says what a batch will surely touch, [`apply`] decides,
//! [`Effects::check`] asserts the laws before anything is persisted:
//!
//! - every transaction sums to zero over its entries and our own accounts;
//! - posted = held + available, and posted = what the grants hold - debt;
//! - what a debit took from grants sums to the debit;
//! - an account's entries are numbered from 1 without gaps;
//! - nothing is negative but an indebted account's posted and available tokens.
//!
//! An account changes in one way only: [`Account::fold`] takes an entry's changes. So whoever holds
//! the entries can recompute the account, and does so when the ledger is verified.

#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]

mod account;
mod apply;
mod audit;
mod chain;
mod command;
mod effects;
mod entitlement;
mod footprint;
mod funding;
mod grant;
mod hold;
mod id;
mod lapse;
mod notice;
pub mod planted;
mod policy;
mod rejection;
mod spill;
mod state;
mod time;
mod tokens;
mod transaction;
mod tree;

pub use account::{Account, Balance, Body, CapPeriod, Settings, SpendCap, Spending, Status};
pub use apply::{Applied, Job, Mode, Outcome, Receipt, apply};
pub use audit::{Filed, Finding, FindingCode, Refold};
pub use chain::{ChainKey, Link};
pub use command::{Act, Charge, Command, Credit, Extent, Purpose, Reach, Supersede, Work};
pub use effects::{Broken, Effects};
pub use entitlement::{Benefit, Entitled, Entitlement};
pub use footprint::{Footprint, footprint};
pub use grant::{Draw, Grant, GrantKind, Money};
pub use hold::{Hold, HoldState};
pub use id::{AccountId, Name, System, TransactionId};
pub use lapse::settled;
pub use policy::{BurnCriterion, FundingStep, Policy, Transfers};
pub use rejection::{Limit, Rejection};
pub use spill::Spilled;
pub use state::{Clawback, Reversal, Source, State};
pub use time::Time;
pub use tokens::{AMOUNT_MAX, BALANCE_MAX, Tokens};
pub use transaction::{
    Change, Entry, EntryId, Fingerprint, Note, Split, Transaction, TransactionType,
};
pub use tree::Tree;
