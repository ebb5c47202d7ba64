//! Clawback: tokens go back because money went back, and return when it comes again.
//!
//! The caller names a target, never a difference; the ledger posts what is missing. Tokens are
//! taken from the unheld rest of the credit's own grant, then from tips made from it that aren't
//! mature yet, then from whatever else the account has; what is still missing becomes debt. They
//! return in the opposite order.

use super::{
    Book, Receipt,
    post::{Draft, Leg, Settled},
};
use crate::{
    account::Account,
    command::Command,
    funding::take_any,
    grant::{Draw, Grant, GrantKind},
    id::{AccountId, System, TransactionId},
    rejection::Rejection,
    state::{Clawback, Reversal, Source, Stop, gather},
    tokens::{Exact, Tokens, sum},
    transaction::{Change, Transaction, TransactionType},
};
use std::{collections::BTreeMap, sync::Arc};

impl Book<'_> {
    pub(super) fn set_clawback(
        &mut self,
        command: &Command,
        credit: &str,
        target: Tokens,
        revision: i64,
    ) -> Result<Receipt, Stop> {
        let owner = &command.account;
        self.state.existing(owner)?;
        let name = (owner.clone(), TransactionId::of(owner, credit));
        let missing = || {
            let name = credit.to_owned();
            Rejection::TransactionNotFound { account: owner.clone(), name }
        };
        let original = Arc::clone(self.state.transaction(&name)?.ok_or_else(missing)?);
        if original.kind != TransactionType::Credit {
            return Err(Rejection::NotACredit { kind: original.kind }.into());
        }
        let known = self.state.clawback(&name)?.cloned();
        let newest = known.as_ref().map_or(0, |known| known.revision);
        let same = known.as_ref().is_some_and(|known| known.target == target);
        if revision < newest || (revision == newest && same) {
            return Ok(Receipt { clawback: known, ..self.unchanged(owner)? });
        }
        if revision == newest {
            return Err(Rejection::RevisionReused { revision }.into());
        }
        if target > original.amount {
            let amount = original.amount;
            return Err(Rejection::ClawbackExceedsCredit { target, amount }.into());
        }
        // What an operator reversed by hand can't be taken a second time.
        let reversed = self.state.reversal(&name)?.reversed;
        let wanted = target.min(original.amount.minus(reversed));
        let sources = known.map_or_else(Vec::new, |known| known.sources);
        let taken = sum(sources.iter().map(Source::amount));
        let mut plan = loop {
            let mut plan = Plan { sources: sources.clone(), changes: BTreeMap::new() };
            plan.changes.insert(owner.clone(), Vec::new());
            if wanted > taken {
                self.take(&original, wanted.minus(taken), &mut plan)?;
            } else {
                self.put_back(&original, taken.minus(wanted), &mut plan)?;
            }
            // A receiver may be ahead of the others: what is due on them by then comes first.
            let accounts: Vec<&AccountId> = plan.changes.keys().collect();
            if self.settle_together(&accounts)? == Settled::Already {
                break plan;
            }
        };
        let at = self.now_for(&plan.changes.keys().collect::<Vec<_>>())?;

        let credit = original.id;
        let facts = Clawback { credit, revision, target, sources: plan.sources };
        let mut own = plan.changes.remove(owner).unwrap_or_default();
        own.push(Change::Clawback(Box::new(facts.clone())));
        let mut draft = Draft::of(command, TransactionType::Clawback, at);
        draft.amount = wanted.minus(taken).abs();
        draft.related = Some(original.id);
        draft.legs.push(Leg::new(owner, System::Clawback, own));
        let receivers = plan.changes.into_iter();
        draft.legs.extend(receivers.map(|(id, changes)| Leg::new(&id, System::Clawback, changes)));
        self.state.clawbacks.put(&name, Some(facts));
        Ok(self.post(draft))
    }

    fn take(&mut self, credit: &Transaction, amount: Tokens, plan: &mut Plan) -> Result<(), Stop> {
        let owner = &credit.account;
        let mut rest = amount;
        let name = credit.name();
        if let Some(grant) = self.state.open_grant(&name)?.filter(|grant| grant.unheld() > 0) {
            rest = rest.minus(plan.take_grant(owner, grant, rest));
        }
        let tips = if rest > 0 { self.tips_of(credit)? } else { Vec::new() };
        for (transfer, receiver, drawn) in tips {
            if rest == 0 {
                break;
            }
            self.settle(&receiver)?;
            let before = plan.taken_from_tip(transfer);
            let name = (receiver.clone(), transfer);
            let Some(grant) = self.state.open_grant(&name)? else { continue };
            let taken = rest.min(drawn.minus(before)).min(grant.unheld());
            if taken > 0 {
                plan.add(&receiver, Change::Draw(grant.draw(taken)));
                plan.sources.push(Source::Tip(receiver, transfer, taken));
                rest = rest.minus(taken);
            }
        }
        let mut others = self.state.existing(owner)?.clone();
        others.body.grants.retain(|grant| grant.id != credit.id);
        for draw in take_any(&others, self.policy, rest)? {
            rest = rest.minus(draw.amount);
            plan.sources.push(Source::Grant(draw.grant, draw.amount));
            plan.add(owner, Change::Draw(draw));
        }
        if rest > 0 {
            plan.sources.push(Source::Debt(rest));
            plan.add(owner, Change::Owe(rest));
        }
        Ok(())
    }

    /// The tips that aren't mature and drew from this credit's grant, the newest first: the
    /// transfer, its receiver, and how much it drew.
    fn tips_of(
        &self,
        credit: &Transaction,
    ) -> Result<Vec<(TransactionId, AccountId, Tokens)>, Stop> {
        let since = self.policy.mature_since(self.now);
        let tips = self.state.tips(&credit.name())?;
        let recent = tips.iter().filter(|tip| {
            tip.created > since && tip.own().draws().any(|draw| draw.grant == credit.id)
        });
        gather(recent.filter_map(|tip| {
            let receiver = tip.other()?.account.clone();
            // Both at once, or a batch of clawbacks asks for them one after the other.
            let known = self.state.account(&receiver).map(|_| None);
            let reversed = self.state.reversal(&tip.name()).map(Some);
            let drawn = |it: Reversal| still_drawn(tip, it.reversed, credit.id);
            let both = gather([known, reversed].into_iter());
            let reversed = both.map(|both| both.into_iter().flatten().map(drawn).sum());
            Some(reversed.map(|drawn| (tip.id, receiver, drawn)))
        }))
    }

    fn put_back(
        &mut self,
        credit: &Transaction,
        amount: Tokens,
        plan: &mut Plan,
    ) -> Result<(), Stop> {
        let owner = &credit.account;
        let receivers = plan.sources.iter().filter_map(Source::receiver);
        gather(receivers.clone().map(|receiver| self.state.account(receiver)))?;
        for receiver in receivers {
            self.settle(receiver)?;
        }
        let account = self.state.existing(owner)?;
        gather(plan.sources.iter().map(|source| match source {
            Source::Grant(grant, _) => self.state.grant(&(owner.clone(), *grant)),
            Source::Tip(receiver, transfer, _) => self.state.grant(&(receiver.clone(), *transfer)),
            Source::Debt(_) => self.state.grant(&(owner.clone(), credit.id)),
        }))?;
        let mut debt = account.body.debt;
        let mut rest = amount;
        while rest > 0 {
            let Some(source) = plan.sources.pop() else { break };
            let part = rest.min(source.amount());
            let left = source.amount().minus(part);
            rest = rest.minus(part);
            match source {
                Source::Grant(grant, _) => {
                    self.restore(account, grant, part, plan)?;
                    plan.keep((left > 0).then_some(Source::Grant(grant, left)));
                }
                Source::Tip(receiver, transfer, _) => {
                    let account = self.state.existing(&receiver)?;
                    self.restore(account, transfer, part, plan)?;
                    plan.keep((left > 0).then_some(Source::Tip(receiver, transfer, left)));
                }
                Source::Debt(_) => {
                    // What is still owed is forgiven; what was paid off meanwhile comes back.
                    let forgiven = part.min(debt);
                    debt = debt.minus(forgiven);
                    if forgiven > 0 {
                        plan.add(owner, Change::Owe(0_i64.minus(forgiven)));
                    }
                    if part > forgiven {
                        self.restore(account, credit.id, part.minus(forgiven), plan)?;
                    }
                    plan.keep((left > 0).then_some(Source::Debt(left)));
                }
            }
        }
        Ok(())
    }

    fn restore(
        &self,
        account: &Account,
        grant: TransactionId,
        amount: Tokens,
        plan: &mut Plan,
    ) -> Result<(), Stop> {
        let known = self.state.grant(&(account.id.clone(), grant))?;
        let kind = known.map_or(GrantKind::Adjustment, |known| known.kind);
        plan.add(&account.id, Change::Restore(Draw { grant, kind, amount }));
        Ok(())
    }
}

/// What a tip still draws from the grant after `reversed` of it came back, the last drawn first.
fn still_drawn(tip: &Transaction, reversed: Tokens, grant: TransactionId) -> Tokens {
    let draws: Vec<&Draw> = tip.own().draws().collect();
    let mut gone = reversed;
    let left = draws.into_iter().rev().map(|draw| {
        let back = gone.min(draw.amount);
        gone = gone.minus(back);
        if draw.grant == grant { draw.amount.minus(back) } else { 0 }
    });
    sum(left)
}

/// What a clawback is about to do.
struct Plan {
    sources: Vec<Source>,
    changes: BTreeMap<AccountId, Vec<Change>>,
}

impl Plan {
    fn add(&mut self, account: &AccountId, change: Change) {
        self.changes.entry(account.clone()).or_default().push(change);
    }

    fn keep(&mut self, source: Option<Source>) {
        self.sources.extend(source);
    }

    fn take_grant(&mut self, owner: &AccountId, grant: &Grant, wanted: Tokens) -> Tokens {
        let taken = wanted.min(grant.unheld());
        self.add(owner, Change::Draw(grant.draw(taken)));
        self.sources.push(Source::Grant(grant.id, taken));
        taken
    }

    fn taken_from_tip(&self, tip: TransactionId) -> Tokens {
        sum(self.sources.iter().map(|source| match source {
            Source::Tip(_, transfer, amount) if *transfer == tip => *amount,
            Source::Tip(..) | Source::Grant(..) | Source::Debt(_) => 0,
        }))
    }
}
