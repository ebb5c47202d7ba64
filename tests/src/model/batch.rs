//! Many commands at once, and the price of work that nobody has done yet.

use super::book::Words;
use super::charge::Ask;
use super::{Expected, Model, Refused, code, wire};
use crate::target::{Call, Reply};
use proto::v1::batch_command::Command;
use proto::v1::{self, BatchMode};

impl Model {
    pub(crate) fn batch(&mut self, r: &v1::BatchRequest) -> Expected {
        let before = self.clone();
        let calls: Vec<Call> = r.commands.iter().map(member).collect();
        if r.mode() == BatchMode::Atomic {
            for (index, call) in calls.iter().enumerate() {
                self.known_action(call).map_err(|refused| refused.with("index", index))?;
            }
        }
        let mut results = Vec::new();
        for (index, call) in calls.into_iter().enumerate() {
            match self.command(&call) {
                Ok(reply) => results.push(result(reply)),
                Err(refused) if r.mode() == BatchMode::Atomic => {
                    *self = before;
                    return Err(refused.with("index", index));
                }
                Err(refused) => results.push(v1::BatchResult {
                    refusal: Some(refusal(&refused)),
                    ..v1::BatchResult::default()
                }),
            }
        }
        if r.dry_run {
            *self = before;
        }
        Ok(Reply::Batch(v1::BatchResponse { results }))
    }

    pub(crate) fn quote(&self, r: &v1::QuoteRequest) -> Expected {
        let mut asks: Vec<(Ask, v1::QuotedItem)> = Vec::new();
        for item in &r.items {
            let ask = self.ask(0, &item.action, item.quantity)?;
            let (quantity, price) = (item.quantity.max(1), self.rules.prices[&item.action]);
            let quoted = v1::QuotedItem {
                action: item.action.clone(),
                label: self.rules.labels[&item.action].clone(),
                quantity,
                unit_tokens: wire::tokens(price),
                amount: wire::tokens(price * i128::from(quantity)),
            };
            asks.push((ask, quoted));
        }
        let mut copy = self.clone();
        let (mut funding, mut why_not) = (Vec::new(), None);
        for (nth, (ask, _)) in asks.iter().enumerate() {
            if r.account_id.is_empty() || why_not.is_some() {
                continue;
            }
            match copy.judge(&r.account_id, ask) {
                Ok((at, plan)) => {
                    copy.charge(at, &format!("sys/quote/{nth}"), ask, &plan, Words::default());
                    funding.extend(plan.funding());
                }
                Err(refused) => why_not = Some(refused),
            }
        }
        if why_not.is_some() {
            funding.clear();
        }
        Ok(Reply::Quote(v1::QuoteResponse {
            amount: asks.iter().map(|(_, item)| item.amount).sum(),
            items: asks.into_iter().map(|(_, item)| item).collect(),
            funding,
            affordable: !r.account_id.is_empty() && why_not.is_none(),
            refusal: why_not.as_ref().map(refusal),
            catalog_version: self.rules.version.clone(),
        }))
    }
}

/// A member of a batch as a call of its own.
pub(crate) fn member(command: &v1::BatchCommand) -> Call {
    match command.command.clone().expect("the workload sends no empty member") {
        Command::Credit(r) => r.into(),
        Command::Debit(r) => r.into(),
        Command::Reverse(r) => r.into(),
        Command::Transfer(r) => r.into(),
        Command::CreateHold(r) => r.into(),
        Command::CaptureHold(r) => r.into(),
        Command::ReleaseHold(r) => r.into(),
        Command::SetClawback(r) => r.into(),
        Command::SetEntitlement(r) => r.into(),
    }
}

fn result(reply: Reply) -> v1::BatchResult {
    macro_rules! results {
        ($($command:ident)*) => {
            match reply {
                $(Reply::$command(r) => v1::BatchResult {
                    refusal: None,
                    transaction: r.transaction,
                    balance: r.balance,
                    replayed: r.replayed,
                },)*
                other => panic!("{other:?} is no answer to a member of a batch"),
            }
        };
    }
    results!(Credit Debit Reverse Transfer CreateHold CaptureHold ReleaseHold SetClawback
        SetEntitlement)
}

fn refusal(refused: &Refused) -> v1::Refusal {
    v1::Refusal {
        code: code(refused.reason).into(),
        reason: refused.reason.into(),
        message: String::new(),
        metadata: refused.metadata.clone(),
    }
}
