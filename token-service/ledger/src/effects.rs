//! The rows that a batch writes, and the laws that they obey.

use crate::{
    account::Account,
    grant::Grant,
    hold::Hold,
    id::{AccountId, Name},
    policy::Policy,
    spill::GRANTS_IN_ROW_MAX,
    state::{Clawback, Reversal, State},
    tokens::{Exact, Tokens, sum},
    transaction::{Entry, Transaction, TransactionType},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Rows to write, all or none.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Accounts that come into being.
    pub new_accounts: Vec<Account>,
    /// Accounts as they are now.
    pub accounts: Vec<Account>,
    /// New transactions with their entries.
    pub transactions: Vec<Arc<Transaction>>,
    /// Grants that left their account's row, as they are now: closed ones, and open ones that are
    /// spilled.
    pub grants: Vec<(Name, Grant)>,
    /// Grants that are in their account's row again, and nowhere else.
    pub returned_grants: Vec<Name>,
    /// Holds that ended.
    pub ended_holds: Vec<(Name, Hold)>,
    /// What was reversed, as it is now.
    pub reversals: Vec<(Name, Reversal)>,
    /// What was clawed back, as it is now.
    pub clawbacks: Vec<(Name, Clawback)>,
}

/// A law that a batch would break: our bug, never persisted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Where.
    pub account: AccountId,
    /// Which law.
    pub law: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {}: {}", self.account, self.law)
    }
}

impl std::error::Error for Broken {}

impl Effects {
    /// What changed in the state.
    pub(crate) fn of(mut state: State, policy: &Policy) -> Self {
        state.part(policy);
        let mut effects = Self::default();
        for (_, account, existed) in state.accounts.into_changed() {
            let to = if existed { &mut effects.accounts } else { &mut effects.new_accounts };
            to.extend(account);
        }
        effects.transactions =
            state.transactions.into_changed().filter_map(|(_, value, _)| value).collect();
        effects.transactions.sort_by(|a, b| {
            let order = |it: &Transaction| (it.account.clone(), it.own().sequence);
            order(a).cmp(&order(b))
        });
        for (name, grant, existed) in state.grants.into_changed() {
            match grant {
                Some(grant) => effects.grants.push((name, grant)),
                None if existed => effects.returned_grants.push(name),
                None => {}
            }
        }
        let some = |(name, value, _)| Option::map(value, |value| (name, value));
        effects.ended_holds = state.holds.into_changed().filter_map(some).collect();
        let some = |(name, value, _)| Option::map(value, |value| (name, value));
        effects.reversals = state.reversals.into_changed().filter_map(some).collect();
        let some = |(name, value, _)| Option::map(value, |value| (name, value));
        effects.clawbacks = state.clawbacks.into_changed().filter_map(some).collect();
        effects
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new_accounts.is_empty() && self.accounts.is_empty() && self.transactions.is_empty()
    }

    /// Whether accounts and transactions are all there is.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.other_rows() == 0
    }

    /// How many rows there are to write or delete.
    #[must_use]
    pub fn rows(&self) -> usize {
        let posted = [self.all_accounts().count(), self.transactions.len(), self.entries().count()];
        posted.into_iter().fold(self.other_rows(), usize::saturating_add)
    }

    /// Those of the tables that few batches write.
    fn other_rows(&self) -> usize {
        let Self {
            new_accounts: _,
            accounts: _,
            transactions: _,
            grants,
            returned_grants,
            ended_holds,
            reversals,
            clawbacks,
        } = self;
        let grants = grants.len().saturating_add(returned_grants.len());
        [ended_holds.len(), reversals.len(), clawbacks.len()]
            .into_iter()
            .fold(grants, usize::saturating_add)
    }

    /// Every account that changed, as it is now.
    pub fn all_accounts(&self) -> impl Iterator<Item = &Account> {
        self.new_accounts.iter().chain(&self.accounts)
    }

    /// Every new entry, beside its transaction.
    pub fn entries(&self) -> impl Iterator<Item = (&Arc<Transaction>, &Entry)> {
        self.transactions.iter().flat_map(|it| it.entries.iter().map(move |entry| (it, entry)))
    }

    /// Asserts the laws.
    ///
    /// # Errors
    /// The first law that these rows would break.
    pub fn check(&self) -> Result<(), Broken> {
        for transaction in &self.transactions {
            check_transaction(transaction)?;
        }
        let elsewhere: BTreeSet<&Name> = self.grants.iter().map(|(name, _)| name).collect();
        let mut entries: BTreeMap<&AccountId, Vec<&Entry>> = BTreeMap::new();
        for (_, entry) in self.entries() {
            entries.entry(&entry.account).or_default().push(entry);
        }
        for account in self.all_accounts() {
            let broken = |law| Err(Broken { account: account.id.clone(), law });
            let Some(own) = entries.get_mut(&account.id) else {
                return broken("an account changes by entries only");
            };
            own.sort_by_key(|entry| entry.sequence);
            check_account(account)?;
            let twice = |grant: &Grant| elsewhere.contains(&(account.id.clone(), grant.id));
            if account.body.grants.iter().any(twice) {
                return broken("a grant is in one place");
            }
            check_sequence(account, own)?;
        }
        Ok(())
    }
}

/// Two customers' entries of one transaction mirror each other; what stands against our own
/// accounts sums to zero by its nature. What was drawn sums to what was spent.
fn check_transaction(transaction: &Transaction) -> Result<(), Broken> {
    let broken = |law| Err(Broken { account: transaction.account.clone(), law });
    let against = |entry: &Entry, other: &AccountId| {
        sum(entry.counterparts().filter(|(account, _)| *account == other).map(|(_, part)| part))
    };
    if let Some(other) = transaction.other() {
        let own = transaction.own();
        let theirs = against(other, &own.account);
        if against(own, &other.account).plus(theirs) != 0 {
            return broken("the entries of a transaction sum to zero");
        }
    }
    let spends = matches!(
        transaction.kind,
        TransactionType::Debit
            | TransactionType::Capture
            | TransactionType::Withdrawal
            | TransactionType::Transfer
    );
    let own = transaction.own();
    let drawn = sum(own.draws().map(|draw| draw.amount));
    // A capture's released rest may pay off debt in the same entry; that moves nothing posted.
    if spends && (drawn != transaction.amount || own.amount != 0_i64.minus(drawn)) {
        return broken("what was drawn from grants sums to what was spent");
    }
    Ok(())
}

fn check_account(account: &Account) -> Result<(), Broken> {
    let broken = |law| Err(Broken { account: account.id.clone(), law });
    let body = &account.body;
    let granted: Tokens = sum(body.grants.iter().map(Grant::posted));
    let spilled = body.spilled.posted();
    if account.posted != granted.plus(spilled).minus(body.debt) {
        return broken("posted = what the grants hold - debt");
    }
    let reserved = sum(body.grants.iter().map(|grant| grant.held));
    if account.held != reserved || reserved != sum(body.holds.iter().map(Hold::amount)) {
        return broken("held = what the grants reserve = what the open holds hold");
    }
    let fits = |grant: &Grant| 0 <= grant.held && grant.held <= grant.remaining;
    if body.debt < 0 || !body.grants.iter().all(fits) {
        return broken("no grant is negative, and debt is not");
    }
    if body.grants.iter().filter(|grant| grant.held == 0).count() > GRANTS_IN_ROW_MAX {
        return broken("a row keeps so many grants and no more");
    }
    if spilled < 0 || body.spilled.scheduled() < 0 {
        return broken("no spilled grant is negative");
    }
    if body.debt > 0 && (spilled > 0 || body.grants.iter().any(|grant| grant.available() > 0)) {
        return broken("debt takes whatever is there");
    }
    Ok(())
}

fn check_sequence(account: &Account, entries: &[&Entry]) -> Result<(), Broken> {
    let broken = |law| Err(Broken { account: account.id.clone(), law });
    for (before, after) in entries.iter().zip(entries.iter().skip(1)) {
        let follows = after.sequence == before.sequence.plus(1)
            && after.balance_after == before.balance_after.plus(after.amount)
            && after.held_after == before.held_after.plus(after.held_delta);
        if !follows {
            return broken("entries follow each other without gaps");
        }
    }
    let ends = entries.last().is_some_and(|last| {
        last.sequence == account.sequence
            && last.balance_after == account.posted
            && last.held_after == account.held
            && last.chain == account.head.code
    });
    if ends { Ok(()) } else { broken("an account is as its newest entry says") }
}
