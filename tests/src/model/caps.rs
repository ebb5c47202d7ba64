//! What an account may spend in a day or a month: README rule 16.

use super::rules::DAY;
use super::{Model, Refused};
use proto::v1::{CapPeriod, ErrorReason};

impl Model {
    /// Refuses what would go beyond a cap.
    pub(crate) fn within_caps(&self, at: usize, tokens: i128) -> Result<(), Refused> {
        for (period, limit) in &self.accounts[at].caps {
            if tokens > 0 && self.spent(at, *period) + tokens > *limit {
                let name = match period {
                    CapPeriod::Month => "spend_per_month",
                    _ => "spend_per_day",
                };
                return Err(Refused::new(ErrorReason::LimitExceeded)
                    .with("limit", name)
                    .with("maximum", limit));
            }
        }
        Ok(())
    }

    /// Tokens that count against the cap of the current period.
    pub(crate) fn spent(&self, at: usize, period: CapPeriod) -> i128 {
        let same = |time: i64| match period {
            CapPeriod::Month => month(time) == month(self.now),
            _ => time.div_euclid(DAY) == self.now.div_euclid(DAY),
        };
        let spends = self.accounts[at].spends.iter();
        spends.filter(|(time, _)| same(*time)).map(|(_, tokens)| tokens).sum()
    }
}

/// The UTC month that a time lies in, counted from January 1970, month by month.
fn month(time: i64) -> i64 {
    let mut days = time.div_euclid(DAY);
    for month in 0.. {
        let year = 1970 + month / 12;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        days -= match month % 12 {
            1 if leap => 29,
            1 => 28,
            3 | 5 | 8 | 10 => 30,
            _ => 31,
        };
        if days < 0 {
            return month;
        }
    }
    unreachable!("months go on")
}
