//! Credit: tokens in, as one grant.

use super::{
    Book, Receipt,
    post::{Draft, Leg},
};
use crate::{
    account::Account,
    command::{Command, Credit, Supersede},
    grant::{Grant, GrantKind},
    id::{AccountId, System, TransactionId},
    rejection::{Limit, Rejection},
    state::Stop,
    time::Time,
    tokens::{BALANCE_MAX, Exact, Tokens},
    transaction::{Change, Split, TransactionType},
};

impl Book<'_> {
    pub(super) fn credit(&mut self, command: &Command, credit: &Credit) -> Result<Receipt, Stop> {
        let at = self.now_for(&[&command.account])?;
        let account = self.state.account(&command.account)?;
        if credit.kind == GrantKind::Trial && account.is_some_and(|account| account.body.tried) {
            return Err(Rejection::TrialAlreadyGranted.into());
        }
        has_room(account, credit.amount)?;
        let rollover = match &credit.supersede {
            Some(supersede) => self.rollover(&command.account, supersede)?,
            None => Rollover::default(),
        };
        let sequence = self.next_sequence(&command.account)?;

        let scheduled = credit.effective.filter(|effective| *effective > at);
        let amount = credit.amount.plus(rollover.carried);
        let mut changes = rollover.changes;
        changes.push(Change::Open(Box::new(Grant {
            id: command.wanted_id(),
            sequence,
            kind: credit.kind,
            priority: credit.priority,
            amount,
            carried: rollover.carried,
            remaining: amount,
            held: 0,
            noticed: 0,
            scheduled,
            effective: credit.effective,
            expire: credit.expire,
            actions: credit.actions.clone(),
            cost: credit.cost.clone(),
            reference: command.note.reference.clone(),
            created: at,
        })));
        let mut draft = Draft::of(command, TransactionType::Credit, at);
        draft.amount = credit.amount;
        draft.related = credit.supersede.as_ref().map(|supersede| supersede.grant);
        let mut leg = Leg::new(&command.account, System::Issuance, changes);
        leg.split = rollover.lapsed;
        draft.legs.push(leg);
        Ok(self.post(draft))
    }

    /// The catalog's trial, granted by the account's first Authorize.
    pub(super) fn grant_trial(&mut self, account: &AccountId, at: Time) -> Result<(), Stop> {
        let tokens = self.policy.trial_tokens;
        let tried = self.state.account(account)?.is_some_and(|account| account.body.tried);
        if tokens == 0 || tried {
            return Ok(());
        }
        let key = "sys/trial".to_owned();
        let grant = Grant {
            id: TransactionId::of(account, &key),
            sequence: self.next_sequence(account)?,
            kind: GrantKind::Trial,
            priority: 0,
            amount: tokens,
            carried: 0,
            remaining: tokens,
            held: 0,
            noticed: 0,
            scheduled: None,
            effective: None,
            expire: self.policy.trial_lasts_micros.map(|micros| at.after_micros(micros)),
            actions: Vec::new(),
            cost: None,
            reference: String::new(),
            created: at,
        };

        let mut draft = Draft::own(account, key, TransactionType::Credit, at);
        draft.amount = tokens;
        let changes = vec![Change::Open(Box::new(grant))];
        draft.legs.push(Leg::new(account, System::Issuance, changes));
        self.post(draft);
        Ok(())
    }

    /// What becomes of the superseded grant's unheld rest. A grant of which nothing is left has
    /// nothing to carry over.
    fn rollover(&self, account: &AccountId, supersede: &Supersede) -> Result<Rollover, Stop> {
        let name = (account.clone(), supersede.grant);
        let old = match self.state.account(account)?.and_then(|it| it.grant(supersede.grant)) {
            Some(open) => open,
            None => self.state.grant(&name)?.ok_or_else(|| Rejection::GrantNotFound {
                account: account.clone(),
                grant: supersede.grant,
            })?,
        };
        let rest = old.unheld();
        let ended = Change::End(old.id);
        if rest == 0 {
            return Ok(Rollover { changes: vec![ended], ..Rollover::default() });
        }
        // A scheduled grant's tokens aren't posted: they move or vanish without a lapse.
        let posted = old.available();
        let carried = rest.min(supersede.carry_over_max);
        let lapsed = posted.minus(carried.min(posted));
        Ok(Rollover {
            carried,
            lapsed: (lapsed > 0)
                .then(|| Split { account: System::Expiry.id(), amount: 0_i64.minus(lapsed) }),
            changes: vec![Change::Draw(old.draw(rest)), ended],
        })
    }
}

#[derive(Default)]
struct Rollover {
    carried: Tokens,
    lapsed: Option<Split>,
    changes: Vec<Change>,
}

/// Whether the account can take so many tokens more.
pub(super) fn has_room(account: Option<&Account>, amount: Tokens) -> Result<(), Rejection> {
    let received = account.map_or(0, |account| account.body.received);
    if received.plus(amount) <= BALANCE_MAX {
        return Ok(());
    }
    Err(Rejection::LimitExceeded { limit: Limit::Balance, maximum: BALANCE_MAX, retry: None })
}
