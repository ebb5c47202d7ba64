//! A second opinion on the ledger: an independent model, written from `token-service/README.md` and
//! the comments of the contract alone. It is slow and plain on purpose: plain lists, searched from
//! end to end, and every figure is added up anew, so that each rule can be read off the page.
//!
//! The model answers the same calls with the same replies, but names what it makes by labels
//! (`account/key`) where the service gives ids. It differs in one thing: what is due is posted on all
//! accounts before and after each call, which no one can tell from posting it where it matters.

mod account;
mod admin;
mod again;
mod batch;
mod book;
mod caps;
mod charge;
mod clawback;
mod credit;
mod due;
mod hold;
mod laws;
mod read;
mod reverse;
mod rules;
mod transfer;
pub(crate) mod wire;

use crate::target::{Call, Reply};
use proto::v1::{AuthorizeMode, ErrorReason};
use std::collections::BTreeMap;
use tonic::Code;

pub use account::{Account, Held, Lot};
pub use book::Past;
#[cfg(test)]
pub(crate) use book::Place;
pub use rules::Rules;

/// What a call should answer: a reply with labels in place of ids, or a refusal.
pub type Expected = Result<Reply, Refused>;

/// A no, with its reason and the figures that the contract names for it in brackets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Why.
    pub reason: ErrorReason,
    /// The figures, as they are sent.
    pub metadata: BTreeMap<String, String>,
}

impl Refused {
    /// A refusal without figures.
    pub(crate) fn new(reason: ErrorReason) -> Self {
        Self { reason, metadata: BTreeMap::new() }
    }

    /// One figure more.
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.metadata.insert(name.to_owned(), value.to_string());
        self
    }
}

/// The whole ledger.
#[derive(Clone, Debug)]
pub struct Model {
    rules: Rules,
    now: i64,
    accounts: Vec<Account>,
    pasts: Vec<Past>,
}

impl Model {
    /// An empty ledger under these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules, now: 0, accounts: Vec::new(), pasts: Vec::new() }
    }

    /// What this call answers at this time, in microseconds since 1970; the model changes with it.
    pub fn answer(&mut self, call: &Call, now_micros: i64) -> Expected {
        self.now = self.now.max(now_micros);
        self.lapse();
        match call {
            Call::Batch(r) => self.batch(r),
            Call::Quote(r) => self.quote(r),
            Call::GetBalance(r) => self.get_balance(r),
            Call::GetTransaction(r) => self.get_transaction(r),
            Call::ListTransactions(r) => self.list_transactions(r),
            Call::GetUsage(r) => self.get_usage(r),
            Call::ListGrants(r) => self.list_grants(r),
            Call::ListHolds(r) => self.list_holds(r),
            Call::GetAccount(r) => self.get_account(r),
            Call::FreezeAccount(r) => self.freeze(r),
            Call::UnfreezeAccount(r) => self.unfreeze(r),
            Call::CloseAccount(r) => self.close(r),
            Call::UpdateAccount(r) => self.update(r),
            Call::Authorize(r) if r.mode() == AuthorizeMode::Check => self.check(r),
            command => self.command(command),
        }
    }

    /// A command with an idempotency key, on its own or in a batch.
    fn command(&mut self, call: &Call) -> Expected {
        self.known_action(call)?;
        let (account_id, key) = again::name(call);
        if let Some(first) = self.by_key(&account_id, &key) {
            return again::repeat(first, call);
        }
        let answer = match call {
            Call::Credit(r) => self.credit(r),
            Call::Debit(r) => self.debit(r),
            Call::Reverse(r) => self.reverse(r),
            Call::Transfer(r) => self.transfer(r),
            Call::CreateHold(r) => self.create_hold(r),
            Call::CaptureHold(r) => self.capture_hold(r),
            Call::ReleaseHold(r) => self.release_hold(r),
            Call::SetClawback(r) => self.set_clawback(r),
            Call::SetEntitlement(r) => self.set_entitlement(r),
            Call::Authorize(r) => self.authorize(r),
            other => panic!("{other:?} has no idempotency key"),
        };
        if let Ok(reply) = &answer {
            let past = self.pasts.iter_mut().find(|past| past.is(&account_id, &key));
            if let Some(past) = past {
                past.first = Some((call.clone(), reply.clone()));
            }
        }
        self.lapse();
        answer
    }

    /// An action that the catalog doesn't have is refused before the ledger sees the command.
    fn known_action(&self, call: &Call) -> Result<(), Refused> {
        let action = match call {
            Call::Debit(r) => &r.action,
            Call::CreateHold(r) => &r.action,
            Call::Authorize(r) => &r.action,
            _ => return Ok(()),
        };
        self.price(action).map(|_| ())
    }

    /// The accounts, in the order in which they came into being.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The transactions, oldest first.
    pub fn pasts(&self) -> &[Past] {
        &self.pasts
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    fn by_key(&self, account_id: &str, key: &str) -> Option<&Past> {
        self.pasts.iter().find(|past| past.is(account_id, key))
    }

    fn find(&self, account_id: &str) -> Option<usize> {
        self.accounts.iter().position(|account| account.id == account_id)
    }

    fn need(&self, account_id: &str) -> Result<usize, Refused> {
        self.find(account_id).ok_or_else(|| {
            Refused::new(ErrorReason::AccountNotFound).with("account_id", account_id)
        })
    }

    fn open(&mut self, account_id: &str) -> usize {
        self.find(account_id).unwrap_or_else(|| {
            self.accounts.push(Account::new(account_id, self.now));
            self.accounts.len() - 1
        })
    }
}

/// The status code that the contract gives to a reason.
pub(crate) fn code(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::AccountNotFound
        | ErrorReason::TransactionNotFound
        | ErrorReason::HoldNotFound
        | ErrorReason::GrantNotFound
        | ErrorReason::ActionNotFound => Code::NotFound,
        ErrorReason::IdempotencyKeyReused => Code::AlreadyExists,
        ErrorReason::LimitExceeded => Code::ResourceExhausted,
        ErrorReason::VersionMismatch => Code::Aborted,
        _ => Code::FailedPrecondition,
    }
}
