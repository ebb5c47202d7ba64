//! What falls due by itself, and moving the clock to it.

use crate::{
    fail::Fail,
    resources::{checkout, invoices, payment_intents, refunds, subscriptions},
    world::World,
};
use serde::{Deserialize, Serialize};

/// What happens at a time, if it still makes sense then: each looks at how things stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// A checkout session that nobody paid ends.
    ExpireSession(String),
    /// A bank says whether it pays.
    SettlePayment(String),
    /// A bank says whether it took the money back.
    SettleRefund(String),
    /// A subscription's period is over.
    EndPeriod(String),
    /// A trial is about to end.
    WarnOfTrialEnd(String),
    /// A subscription whose first invoice nobody paid ends.
    ExpireIncomplete(String),
    /// A subscription ends at a date that was set.
    CancelSubscription(String),
    /// A pause is over.
    ResumeCollection(String),
    /// A draft becomes an invoice, and is paid.
    FinalizeInvoice(String),
    /// A payment that failed is tried again.
    RetryInvoice(String),
}

/// Something that a timer did.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Happened {
    pub(crate) at: i64,
    pub(crate) what: &'static str,
    pub(crate) object: String,
}

impl World {
    /// Lets time pass, in order: what a timer does may set another one before `to`.
    pub(crate) fn pass_until(&mut self, to: i64) -> Result<(), Fail> {
        while self.timers.first_key_value().is_some_and(|(due, _)| *due <= to) {
            if self.is_full() {
                return Err(Fail::request("The simulator is full: POST /_sim/reset empties it."));
            }
            let Some(due) = self.timers.pop_first() else { break };
            self.now = self.now.max(due.0);
            for timer in due.1 {
                ring(self, timer);
            }
        }
        self.now = self.now.max(to);
        Ok(())
    }
}

fn ring(world: &mut World, timer: Timer) {
    world.cause = (None, None);
    let at = world.now;
    let (what, object, done) = match timer {
        Timer::ExpireSession(id) => ("session expired", id.clone(), checkout::lapse(world, &id)),
        Timer::SettlePayment(id) => {
            ("payment settled", id.clone(), payment_intents::settle(world, &id))
        }
        Timer::SettleRefund(id) => {
            ("refund settled", id.clone(), refunds::settle(world, &id, None))
        }
        Timer::EndPeriod(id) => ("period ended", id.clone(), subscriptions::end_period(world, &id)),
        Timer::WarnOfTrialEnd(id) => {
            ("trial will end", id.clone(), subscriptions::warn_of_trial_end(world, &id))
        }
        Timer::ExpireIncomplete(id) => {
            ("subscription expired", id.clone(), subscriptions::expire_incomplete(world, &id))
        }
        Timer::CancelSubscription(id) => {
            ("subscription canceled", id.clone(), subscriptions::cancel_when_due(world, &id))
        }
        Timer::ResumeCollection(id) => {
            ("collection resumed", id.clone(), subscriptions::resume_collection(world, &id))
        }
        Timer::FinalizeInvoice(id) => {
            ("invoice finalized", id.clone(), invoices::advance(world, &id))
        }
        Timer::RetryInvoice(id) => ("payment tried again", id.clone(), invoices::retry(world, &id)),
    };
    if let (true, Some(happened)) = (done, &mut world.happened) {
        happened.push(Happened { at, what, object });
    }
}
