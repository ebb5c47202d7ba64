//! The laws, checked on the rows alone: nothing here asks the code that wrote them.
//!
//! Every account is folded again from its entries, with its chain, and before each entry what it
//! should have found is compared with what it did.

use crate::rows::Rows;
use ledger::{
    Account, AccountId, Body, ChainKey, Change, Draw, Entry, Grant, GrantKind, Link, Policy,
    Status, Transaction, TransactionId, TransactionType,
};
use std::collections::BTreeMap;

type Posted<'a> = (&'a Transaction, &'a Entry);

/// The first law that the rows break.
pub(super) fn check(rows: &Rows, policy: &Policy, key: &ChainKey) -> Result<(), String> {
    let mut entries: BTreeMap<&AccountId, Vec<Posted>> = BTreeMap::new();
    for transaction in rows.transactions.values() {
        sums_to_zero(transaction)?;
        for entry in &transaction.entries {
            entries.entry(&entry.account).or_default().push((transaction, entry));
        }
    }
    if !entries.keys().copied().eq(rows.accounts.keys()) {
        return Err("an account without entries, or entries without an account".to_owned());
    }
    for (id, mut posted) in entries {
        posted.sort_by_key(|(_, entry)| entry.sequence);
        let mut book = Book::new(id, policy, key);
        for (transaction, entry) in posted {
            book.post(transaction, entry).map_err(|law| {
                format!("{law}: {transaction:#?}\nbefore it: {:#?}", book.account)
            })?;
        }
        let Book { account, closed, .. } = book;
        let whole = rows.whole(id);
        if whole.as_ref() != Some(&account) {
            return Err(format!("entries fold to {account:#?}\nnot to {whole:#?}"));
        }
        let kept = rows.grants.iter().filter(|((owner, _), row)| owner == id && row.is_closed());
        if !kept.map(|((_, grant), row)| (grant, row)).eq(&closed) {
            return Err(format!("the closed grants of {id} aren't {closed:#?}"));
        }
    }
    Ok(())
}

fn sums_to_zero(transaction: &Transaction) -> Result<(), String> {
    let own = |id: &AccountId| id.as_str().starts_with("sys/");
    let customers: i64 = transaction.entries.iter().map(|entry| entry.amount).sum();
    let counterparts = transaction.entries.iter().flat_map(Entry::counterparts);
    let ours: i64 = counterparts.filter(|(id, _)| own(id)).map(|(_, part)| -part).sum();
    if customers + ours == 0 {
        return Ok(());
    }
    Err(format!("a transaction doesn't sum to zero: {transaction:#?}"))
}

/// An account, folded up to some entry.
struct Book<'a> {
    account: Account,
    closed: BTreeMap<TransactionId, Grant>,
    policy: &'a Policy,
    key: &'a ChainKey,
}

impl<'a> Book<'a> {
    fn new(id: &AccountId, policy: &'a Policy, key: &'a ChainKey) -> Self {
        let none = ledger::Time(i64::MIN);
        let account = Account {
            id: id.clone(),
            status: Status::Active,
            sequence: 0,
            posted: 0,
            held: 0,
            created: none,
            updated: none,
            head: Link::default(),
            body: Body::default(),
        };
        Self { account, closed: BTreeMap::new(), policy, key }
    }

    fn post(&mut self, transaction: &Transaction, entry: &Entry) -> Result<(), &'static str> {
        let account = &mut self.account;
        let at = transaction.created;
        if entry.sequence != account.sequence + 1 {
            return Err("entries have gaps");
        }
        if at < account.updated {
            return Err("time runs backwards");
        }
        if account.sequence == 0 {
            account.created = at;
        }
        match account.due() {
            Some(due) if is_lapse(transaction.kind) && at != due.max(account.updated) => {
                return Err("a lapse isn't dated when it was due");
            }
            None if is_lapse(transaction.kind) => return Err("nothing was due"),
            Some(due) if !is_lapse(transaction.kind) && due <= at => {
                return Err("what was due wasn't posted before");
            }
            Some(_) | None => {}
        }
        if let Some(should) = burnt_down(account, self.policy, transaction, entry) {
            let hold = transaction.hold().map(|hold| hold.draws.clone());
            if should != hold.unwrap_or_else(|| entry.draws().cloned().collect()) {
                return Err("grants are burnt down in another order");
            }
        }
        for change in &entry.changes {
            if let Change::Restore(Draw { grant, .. }) | Change::End(grant) = change
                && let Some(closed) = self.closed.remove(grant)
            {
                account.body.grants.push(closed);
                account.body.grants.sort_by_key(|grant| grant.sequence);
            }
        }
        account.fold(transaction.kind, &entry.counter, at, &entry.changes);
        if (account.posted, account.held) != (entry.balance_after, entry.held_after) {
            return Err("the balance isn't what the changes make it");
        }
        if only_sets_aside(transaction.kind) && entry.amount != 0 {
            return Err("what is set aside, or given back, isn't moved");
        }
        let link = self.key.link(&account.head.code, transaction, entry);
        if (link.code, &link.key) != (entry.chain, &entry.chain_key) {
            return Err("the chain is broken");
        }
        account.head = link;
        let closed = account.body.grants.extract_if(.., |grant| grant.remaining == 0);
        self.closed.extend(closed.map(|grant| (grant.id, grant)));
        Ok(())
    }
}

fn is_lapse(kind: TransactionType) -> bool {
    use TransactionType::{Activation, GrantExpiry, HoldExpiry};
    matches!(kind, Activation | GrantExpiry | HoldExpiry)
}

fn only_sets_aside(kind: TransactionType) -> bool {
    use TransactionType::{AccountChange, Entitlement, ExpiryNotice, Hold, HoldExpiry, Release};
    matches!(kind, AccountChange | Entitlement | ExpiryNotice | Hold | HoldExpiry | Release)
}

/// What a spending entry should have drawn; `None`: it doesn't spend in burn-down order.
fn burnt_down(
    account: &Account,
    policy: &Policy,
    transaction: &Transaction,
    entry: &Entry,
) -> Option<Vec<Draw>> {
    use TransactionType::{Debit, Hold, Transfer, Withdrawal};
    if entry.account != transaction.account {
        return None;
    }
    let action = transaction.action.as_deref();
    let mature = transaction.created.days_before(policy.maturity_days);
    let may_pay = |grant: &Grant| match transaction.kind {
        Transfer => policy.transfers.kinds.contains(&grant.kind),
        Withdrawal => grant.kind == GrantKind::Earned && grant.created <= mature,
        _ => true,
    };
    if !matches!(transaction.kind, Debit | Hold | Transfer | Withdrawal) {
        return None;
    }
    let grants = account.body.grants.iter();
    let mut grants: Vec<&Grant> = grants
        .filter(|grant| grant.available() > 0 && grant.pays_for(action) && may_pay(grant))
        .collect();
    grants.sort_by(|a, b| policy.burn(a, b));
    let mut rest = transaction.amount;
    let draws = grants.into_iter().map(|grant| {
        let amount = rest.min(grant.available());
        rest -= amount;
        grant.draw(amount)
    });
    Some(draws.filter(|draw| draw.amount > 0).collect())
}
