//! Tokens taken back because money went back: README rule 22.

use super::account::Taken;
use super::book::{Draft, Place, words};
use super::{Expected, Model, Refused, wire};
use crate::target::Reply;
use proto::v1::{self, ErrorReason, TransactionType as Type};

impl Model {
    pub(crate) fn set_clawback(&mut self, r: &v1::SetClawbackRequest) -> Expected {
        let at = self.need(&r.account_id)?;
        let credit = self.pasts.iter().position(|past| past.is(&r.account_id, &r.credit_key));
        let credit = credit.ok_or_else(|| {
            Refused::new(ErrorReason::TransactionNotFound)
                .with("account_id", &r.account_id)
                .with("idempotency_key", &r.credit_key)
        })?;
        let past = &self.pasts[credit];
        if past.kind != Type::Credit {
            let name = past.kind.as_str_name().trim_start_matches("TRANSACTION_TYPE_");
            return Err(Refused::new(ErrorReason::NotACredit).with("type", name));
        }
        if r.revision <= past.revision {
            if r.revision == past.revision && r.target != past.target {
                return Err(Refused::new(ErrorReason::RevisionReused).with("revision", r.revision));
            }
            return Ok(Reply::SetClawback(v1::SetClawbackResponse {
                transaction: None,
                balance: Some(wire::balance(&self.accounts[at])),
                replayed: false,
                clawed_back: wire::tokens(past.clawed_back()),
                revision: past.revision,
                stale: true,
            }));
        }
        if i128::from(r.target) > past.amount {
            return Err(Refused::new(ErrorReason::ClawbackExceedsCredit)
                .with("target", r.target)
                .with("amount", past.amount));
        }

        let wanted = i128::from(r.target).min(past.amount - past.reversed);
        let more = wanted - past.clawed_back();
        let mut draft = self.begin(Type::Clawback, at, &r.idempotency_key, words!(r));
        draft.related = past.label.clone();
        draft.amount = more.abs();
        "sys/clawback".clone_into(&mut draft.counter);
        "sys/clawback".clone_into(&mut draft.other_counter);
        if more > 0 {
            self.take(credit, at, more, &mut draft);
        } else {
            self.give_back(credit, at, -more, &mut draft);
        }
        let past = &mut self.pasts[credit];
        (past.revision, past.target) = (r.revision, r.target);
        let transaction = self.commit(draft);
        self.newest().back = -more;
        Ok(Reply::SetClawback(v1::SetClawbackResponse {
            transaction: Some(transaction),
            balance: Some(wire::balance(&self.accounts[at])),
            replayed: false,
            clawed_back: wire::tokens(wanted),
            revision: r.revision,
            stale: false,
        }))
    }

    fn take(&mut self, credit: usize, at: usize, mut more: i128, draft: &mut Draft) {
        let label = self.pasts[credit].label.clone();
        let account = &self.accounts[at];
        let own = account.lot(&label).expect("a credit's grant is there for ever");
        let taken = more.min(account.free_of(own));
        more -= self.take_from(credit, at, Place::Own, &label, taken, draft);

        for (tip, drew) in self.immature_tips(credit) {
            let receiver = self.pasts[tip].to.clone().expect("a tip has a receiver");
            let receiver = self.find(&receiver).expect("a receiver exists");
            let tip = self.pasts[tip].label.clone();
            let account = &self.accounts[receiver];
            let free = account.free_of(account.lot(&tip).expect("a tip makes a grant"));
            let taken = more.min(drew).min(free);
            more -= self.take_from(credit, receiver, Place::Tip(tip.clone()), &tip, taken, draft);
        }

        let account = &self.accounts[at];
        let lots = account.burn_down(&self.rules);
        let free: i128 = lots.iter().map(|lot| account.free_of(lot)).sum();
        for draw in account.plan_draws(&lots, more.min(free)) {
            let place = Place::Other(draw.lot.clone());
            more -= self.take_from(credit, at, place, &draw.lot, draw.tokens, draft);
        }

        self.accounts[at].debt += more;
        self.pasts[credit].clawed.push((Place::Debt, more));
    }

    fn take_from(
        &mut self,
        credit: usize,
        at: usize,
        place: Place,
        lot: &str,
        tokens: i128,
        draft: &mut Draft,
    ) -> i128 {
        let taken = self.accounts[at].lot_mut(lot);
        taken.remaining -= tokens;
        draft.draws.push((at, Taken { lot: lot.to_owned(), kind: taken.kind, tokens }));
        self.pasts[credit].clawed.push((place, tokens));
        tokens
    }

    /// Tips that drew from this credit's grant and are young enough, newest first, each with what it
    /// still drew: less what was reversed, less what this credit's clawback holds of it.
    fn immature_tips(&self, credit: usize) -> Vec<(usize, i128)> {
        let past = &self.pasts[credit];
        let mut tips = Vec::new();
        for (nth, tip) in self.pasts.iter().enumerate().rev() {
            let made_here = tip.kind == Type::Transfer && tip.account_id == past.account_id;
            if !made_here || self.now - tip.time >= self.rules.maturity {
                continue;
            }
            let left = tip.draws_left_last_first();
            let drew: i128 = left.iter().filter(|d| d.lot == past.label).map(|d| d.tokens).sum();
            let place = Place::Tip(tip.label.clone());
            let held: i128 =
                past.clawed.iter().filter(|(p, _)| *p == place).map(|(_, tokens)| tokens).sum();
            tips.push((nth, (drew - held).max(0)));
        }
        tips
    }

    /// The other way round: what was taken last returns first.
    fn give_back(&mut self, credit: usize, at: usize, mut less: i128, draft: &mut Draft) {
        let label = self.pasts[credit].label.clone();
        while less > 0 {
            let (place, tokens) = self.pasts[credit].clawed.pop().expect("as much was taken");
            let back = tokens.min(less);
            less -= back;
            if tokens > back {
                self.pasts[credit].clawed.push((place.clone(), tokens - back));
            }
            match place {
                Place::Own => self.give_to(at, &label, back, draft),
                Place::Other(lot) => self.give_to(at, &lot, back, draft),
                Place::Tip(tip) => {
                    let receiver = self.by_label(&tip).to.clone().expect("a tip has a receiver");
                    let receiver = self.find(&receiver).expect("a receiver exists");
                    self.give_to(receiver, &tip, back, draft);
                }
                Place::Debt => {
                    let forgiven = back.min(self.accounts[at].debt);
                    self.accounts[at].debt -= forgiven;
                    self.give_to(at, &label, back - forgiven, draft);
                }
            }
        }
    }

    fn give_to(&mut self, at: usize, lot: &str, tokens: i128, draft: &mut Draft) {
        let given = self.accounts[at].lot_mut(lot);
        given.remaining += tokens;
        draft.restored.push((at, Taken { lot: lot.to_owned(), kind: given.kind, tokens }));
    }
}
