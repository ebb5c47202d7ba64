//! When the next call comes: often at once, often exactly when something is due.

use super::deck::Deck;
use crate::model::Account;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 86_400 * SECOND;

impl Deck {
    /// Moves the time on.
    pub(super) fn tick(&mut self) {
        let now = self.now;
        let next = match self.rng.u32(..100) {
            0..58 => now,
            58..64 => now + self.rng.i64(1..5 * SECOND),
            64..84 => self.due().map_or(now, |due| due + self.offset()),
            84..92 => now + self.rng.i64(1..20 * MINUTE),
            92..95 => (now.div_euclid(DAY) + 1) * DAY + self.offset(),
            95..97 => self.month_start() + self.offset(),
            _ => now + self.rng.i64(1..20) * DAY,
        };
        self.now = next.max(now);
    }

    fn offset(&mut self) -> i64 {
        [-1, 0, 0, 0, 1][self.rng.usize(..5)]
    }

    /// One of the next moments at which something happens by itself.
    fn due(&mut self) -> Option<i64> {
        let mut moments = self.moments();
        moments.sort_unstable();
        moments.truncate(3);
        self.rng.choice(moments)
    }

    /// All moments to come at which something happens by itself.
    pub(super) fn moments(&self) -> Vec<i64> {
        let accounts = self.model.accounts().iter();
        let mut moments: Vec<i64> = accounts.flat_map(of).collect();
        let maturity = self.model.rules().maturity;
        let tips = self.model.pasts().iter().filter(|past| past.to.is_some());
        moments.extend(tips.map(|tip| tip.time + maturity));
        moments.retain(|moment| *moment > self.now);
        moments
    }

    /// Some time after now at which tokens may lapse: often one at which something else is due.
    pub(super) fn later(&mut self) -> i64 {
        if self.rng.u32(..3) == 0
            && let Some(due) = self.due()
        {
            return due;
        }
        let after = [1, SECOND, MINUTE, 15 * MINUTE, DAY, 3 * DAY, 30 * DAY];
        self.now + after[self.rng.usize(..after.len())]
    }

    /// Within a month and a few days: what matters is that it sometimes is one.
    fn month_start(&self) -> i64 {
        let days = [31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365, 396, 424, 455, 485];
        let year = 20_454 * DAY; // 2026-01-01
        let starts = days.iter().map(|day| year + day * DAY);
        starts.into_iter().find(|start| *start > self.now).unwrap_or(self.now)
    }
}

fn of(account: &Account) -> Vec<i64> {
    let lots = account.lots.iter().filter(|lot| lot.remaining > 0);
    let lots = lots.flat_map(|lot| [lot.effective, lot.expire]).flatten();
    let holds = account.open_holds().map(|hold| hold.expires);
    let entitlements = account.entitlements.iter().filter_map(|entitled| entitled.expire);
    lots.chain(holds).chain(entitlements).collect()
}
