//! Reversals: the mirror image of an earlier transaction, whole or in part.

use super::{
    Book, Receipt,
    post::{Draft, Leg},
    transfer::fee_split,
};
use crate::{
    command::{Command, Reach},
    grant::Draw,
    id::{AccountId, System, TransactionId},
    rejection::Rejection,
    state::{Reversal, Source, Stop, gather},
    time::Time,
    tokens::{Exact, Tokens, share, sum},
    transaction::{Change, Transaction, TransactionType},
};
use std::sync::Arc;

impl Book<'_> {
    pub(super) fn reverse(
        &mut self,
        command: &Command,
        original: TransactionId,
        amount: Option<Tokens>,
        reach: Reach,
    ) -> Result<Receipt, Stop> {
        self.state.existing(&command.account)?;
        let name = (command.account.clone(), original);
        let found = self.state.transaction(&name)?;
        let original = Arc::clone(found.ok_or_else(|| Rejection::TransactionNotFound {
            account: command.account.clone(),
            name: original.to_string(),
        })?);
        let mirror = match original.kind {
            TransactionType::Debit | TransactionType::Capture => Mirror::Spending(System::Usage),
            TransactionType::Withdrawal => Mirror::Spending(System::Payouts),
            TransactionType::Credit => Mirror::Credit,
            TransactionType::Transfer => Mirror::Transfer,
            TransactionType::Reversal
            | TransactionType::Hold
            | TransactionType::Release
            | TransactionType::Clawback
            | TransactionType::Entitlement
            | TransactionType::GrantExpiry
            | TransactionType::HoldExpiry
            | TransactionType::Activation
            | TransactionType::AccountChange
            | TransactionType::ExpiryNotice => {
                return Err(Rejection::NotReversible { kind: original.kind }.into());
            }
        };
        let reached = match reach {
            Reach::Everything => true,
            Reach::Account => !matches!(mirror, Mirror::Transfer),
            Reach::Spending => matches!(mirror, Mirror::Spending(System::Usage)),
        };
        if !reached {
            return Err(Rejection::OutOfReach { kind: original.kind }.into());
        }
        let so_far = self.state.reversal(&name)?;
        let clawed = match mirror {
            Mirror::Credit => self.clawed_back(&name)?,
            Mirror::Spending(_) | Mirror::Transfer => 0,
        };
        let reversible = original.amount.minus(so_far.reversed).minus(clawed);
        let nothing_left = so_far.complete || (reversible == 0 && original.amount > 0);
        if nothing_left {
            return Err(Rejection::AlreadyReversed { transaction: original.id }.into());
        }
        let reversed = amount.unwrap_or(reversible);
        if reversed > reversible {
            let required = reversed;
            return Err(Rejection::ReversalExceedsOriginal { required, reversible }.into());
        }
        let part = Part { before: so_far.reversed, amount: reversed };
        let complete = part.end() == original.amount;
        let at = self.now_for(&[&command.account])?;
        let (at, legs) = match mirror {
            Mirror::Spending(counter) => {
                (at, vec![self.give_back(&original, part, counter, complete)?])
            }
            Mirror::Credit => (at, vec![self.take_back_credit(&original, part)?]),
            Mirror::Transfer => self.take_back_transfer(&original, part)?,
        };

        let mut draft = Draft::of(command, TransactionType::Reversal, at);
        draft.amount = reversed;
        draft.action.clone_from(&original.action);
        draft.quantity = if complete { 0_i64.minus(original.quantity) } else { 0 };
        draft.related = Some(original.id);
        draft.legs = legs;
        self.state.reversals.put(&name, Some(Reversal { reversed: part.end(), complete }));
        Ok(self.post(draft))
    }

    /// Tokens go back to the grants that they were drawn from, the last drawn first.
    fn give_back(
        &self,
        original: &Transaction,
        part: Part,
        counter: System,
        complete: bool,
    ) -> Result<Leg, Stop> {
        let mut changes = self.restores(original, part)?;
        let quota = original.entitled.as_ref().zip(original.action.as_ref());
        let returned =
            quota.filter(|_| complete).and_then(|(entitled, action)| entitled.returned(action));
        changes.extend(returned);
        if part.amount > 0 && original.kind != TransactionType::Withdrawal {
            changes.push(Change::Unspend { amount: part.amount, spent: self.spent_at(original)? });
        }
        Ok(Leg::new(&original.account, counter, changes))
    }

    /// When the original's tokens began to count against spend caps: a capture's when they were
    /// held.
    fn spent_at(&self, original: &Transaction) -> Result<Time, Stop> {
        let hold = original.related.filter(|_| original.kind == TransactionType::Capture);
        let Some(hold) = hold else { return Ok(original.created) };
        let ended = self.state.ended_hold(&(original.account.clone(), hold))?;
        Ok(ended.map_or(original.created, |hold| hold.created))
    }

    /// Tokens leave the grant that the credit made, if they are still there.
    fn take_back_credit(&self, original: &Transaction, part: Part) -> Result<Leg, Stop> {
        let draws = self.rest_of(&original.account, original.id, part.amount)?;
        Ok(Leg::new(&original.account, System::Issuance, draws))
    }

    /// Tokens leave the receiver, if they are still there, and our fees, and go back to the payer.
    fn take_back_transfer(
        &mut self,
        original: &Transaction,
        part: Part,
    ) -> Result<(Time, Vec<Leg>), Stop> {
        let receipt = original.other().expect("a transfer has two entries");
        let (payer, receiver) = (&original.account, &receipt.account);
        self.state.account(receiver)?;
        self.settle_together(&[payer, receiver])?;
        let at = self.now_for(&[payer, receiver])?;
        let fee_whole = original.amount.minus(receipt.amount);
        let fee_until = |tokens| share(fee_whole, tokens, original.amount);
        let fee = fee_until(part.end()).minus(fee_until(part.before));
        let mut restored = self.restores(original, part)?;
        let taken = self.rest_of(receiver, original.id, part.amount.minus(fee))?;
        restored.push(Change::Unspend { amount: part.amount, spent: original.created });
        let payer_leg = Leg {
            account: payer.clone(),
            counter: receiver.clone(),
            split: fee_split(fee),
            changes: restored,
        };
        let (account, counter) = (receiver.clone(), payer.clone());
        let receiver_leg = Leg { account, counter, split: None, changes: taken };
        Ok((at, vec![payer_leg, receiver_leg]))
    }

    /// Takes tokens out of one grant, of which so many must be unheld.
    fn rest_of(
        &self,
        account: &AccountId,
        grant: TransactionId,
        amount: Tokens,
    ) -> Result<Vec<Change>, Stop> {
        let grant = self.state.open_grant(&(account.clone(), grant))?;
        let available = grant.map_or(0, crate::Grant::unheld);
        match grant {
            _ if amount == 0 => Ok(Vec::new()),
            Some(grant) if amount <= available => Ok(vec![Change::Draw(grant.draw(amount))]),
            Some(_) | None => {
                Err(Rejection::InsufficientBalance { required: amount, available }.into())
            }
        }
    }

    /// The restores for the tokens of `part`, counted from the end of what the original drew. The
    /// grants are loaded before anything is promised.
    fn restores(&self, original: &Transaction, part: Part) -> Result<Vec<Change>, Stop> {
        let drawn: Vec<&Draw> = original.own().draws().collect();
        let mut skip = part.before;
        let mut rest = part.amount;
        let mut back = Vec::new();
        for draw in drawn.into_iter().rev() {
            let skipped = skip.min(draw.amount);
            skip = skip.minus(skipped);
            let amount = rest.min(draw.amount.minus(skipped));
            rest = rest.minus(amount);
            if amount > 0 {
                back.push(Draw { amount, ..draw.clone() });
            }
        }
        let name = |draw: &Draw| (original.account.clone(), draw.grant);
        gather(back.iter().map(|draw| self.state.grant(&name(draw))))?;
        Ok(back.into_iter().map(Change::Restore).collect())
    }

    /// How much of a credit is clawed back.
    pub(super) fn clawed_back(&self, credit: &crate::Name) -> Result<Tokens, Stop> {
        let clawback = self.state.clawback(credit)?;
        Ok(clawback.map_or(0, |it| sum(it.sources.iter().map(Source::amount))))
    }
}

/// What the mirror image does.
#[derive(Clone, Copy)]
enum Mirror {
    /// Spent tokens come back from there.
    Spending(System),
    /// Credited tokens go.
    Credit,
    /// Transferred tokens come back from the receiver.
    Transfer,
}

/// The tokens of the original to mirror: after the first `before`, so many.
#[derive(Clone, Copy)]
struct Part {
    before: Tokens,
    amount: Tokens,
}

impl Part {
    fn end(self) -> Tokens {
        self.before.plus(self.amount)
    }
}
