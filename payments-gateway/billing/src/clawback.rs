//! How many tokens go back when money went back: a target, from absolute facts.
//!
//! Refunds and disputes arrive in any order, repeatedly, and some are taken back; a target that is computed
//! from how they stand is the same in every order. The ledger posts the difference to what it has taken so far.

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStatus {
    /// The bank hasn't answered yet.
    Pending,
    /// The customer has to do something first.
    RequiresAction,
    /// The money went back.
    Succeeded,
    /// It came back to us.
    Failed,
    /// It never left.
    Canceled,
}

/// A refund of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refund {
    /// In minor units, not negative.
    pub amount_minor: i64,
    /// How it stands now.
    pub status: RefundStatus,
}

/// Where a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeStatus {
    /// The bank asks; no money moved (`warning_needs_response`, `warning_under_review`).
    Inquiry,
    /// The bank asked, and that was all (`warning_closed`, `prevented`).
    InquiryClosed,
    /// The money is gone until it is decided (`needs_response`, `under_review`).
    Open,
    /// The money is ours again.
    Won,
    /// The money is gone.
    Lost,
}

/// A dispute of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// In minor units, not negative.
    pub amount_minor: i64,
    /// How it stands now.
    pub status: DisputeStatus,
}

/// Everything that became of a payment.
#[derive(Clone, Copy, Debug)]
pub struct MoneyBack<'a> {
    /// Its refunds, in any order.
    pub refunds: &'a [Refund],
    /// Its disputes, in any order.
    pub disputes: &'a [Dispute],
}

impl MoneyBack<'_> {
    /// What the customer has back, in minor units: succeeded refunds, and disputes that aren't won.
    fn returned_minor(self) -> i64 {
        let refunded = self.refunds.iter().map(|refund| match refund.status {
            RefundStatus::Succeeded => refund.amount_minor,
            RefundStatus::Pending
            | RefundStatus::RequiresAction
            | RefundStatus::Failed
            | RefundStatus::Canceled => 0,
        });
        let disputed = self.disputes.iter().map(|dispute| match dispute.status {
            DisputeStatus::Open | DisputeStatus::Lost => dispute.amount_minor,
            DisputeStatus::Inquiry | DisputeStatus::InquiryClosed | DisputeStatus::Won => 0,
        });
        refunded.chain(disputed).fold(0, i64::saturating_add)
    }
}

/// What the customer has back of what was paid, in minor units.
#[must_use]
pub fn returned(paid_minor: i64, back: MoneyBack) -> i64 {
    back.returned_minor().clamp(0, paid_minor.max(0))
}

/// How many of a purchase's tokens are to be taken back in all: all of them once all the money is back, else the
/// part that corresponds to it, rounded down in the customer's favour.
#[must_use]
pub fn target(tokens: i64, paid_minor: i64, back: MoneyBack<'_>) -> i64 {
    let returned = returned(paid_minor, back);
    match paid_minor {
        // Nothing was paid, so nothing can come back.
        ..=0 => 0,
        paid if returned >= paid => tokens,
        paid => {
            let share = i128::from(tokens).saturating_mul(i128::from(returned));
            let part = share.checked_div(i128::from(paid)).unwrap_or_default();
            i64::try_from(part).unwrap_or(tokens)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: i64 = 110;
    const PAID: i64 = 999;

    fn refund(amount_minor: i64, status: RefundStatus) -> Refund {
        Refund { amount_minor, status }
    }

    fn dispute(amount_minor: i64, status: DisputeStatus) -> Dispute {
        Dispute { amount_minor, status }
    }

    #[test]
    fn only_money_that_is_back_counts() {
        use DisputeStatus::{Inquiry, InquiryClosed, Lost, Open, Won};
        use RefundStatus::{Canceled, Failed, Pending, RequiresAction, Succeeded};
        let table: &[(&[Refund], &[Dispute], i64)] = &[
            (&[], &[], 0),
            (&[refund(PAID, Pending)], &[], 0),
            (&[refund(PAID, RequiresAction)], &[], 0),
            (&[refund(PAID, Failed)], &[], 0),
            (&[refund(PAID, Canceled)], &[], 0),
            (&[refund(PAID, Succeeded)], &[], TOKENS),
            (&[refund(333, Succeeded)], &[], 36),
            (&[refund(333, Succeeded), refund(333, Succeeded)], &[], 73),
            (
                &[refund(333, Succeeded), refund(333, Succeeded), refund(333, Succeeded)],
                &[],
                TOKENS,
            ),
            (&[refund(333, Succeeded), refund(666, Failed)], &[], 36),
            (&[], &[dispute(PAID, Inquiry)], 0),
            (&[], &[dispute(PAID, InquiryClosed)], 0),
            (&[], &[dispute(PAID, Open)], TOKENS),
            (&[], &[dispute(PAID, Lost)], TOKENS),
            (&[], &[dispute(PAID, Won)], 0),
            (&[refund(333, Succeeded)], &[dispute(PAID, Won)], 36),
            (&[refund(333, Succeeded)], &[dispute(PAID, Lost)], TOKENS),
            (&[refund(PAID, Succeeded)], &[dispute(PAID, Lost)], TOKENS),
        ];
        for (refunds, disputes, expected) in table {
            let back = MoneyBack { refunds, disputes };
            assert_eq!(target(TOKENS, PAID, back), *expected, "{back:?}");
        }
    }

    #[test]
    fn the_order_of_facts_is_of_no_account() {
        let refunds = [
            refund(100, RefundStatus::Succeeded),
            refund(200, RefundStatus::Failed),
            refund(300, RefundStatus::Succeeded),
        ];
        let mut orders = vec![];
        for first in 0..3 {
            for second in 0..3 {
                let third = 3_usize.wrapping_sub(first).wrapping_sub(second);
                if first != second && third < 3 {
                    orders.push([refunds[first], refunds[second], refunds[third]]);
                }
            }
        }
        assert_eq!(orders.len(), 6);
        let targets =
            orders.iter().map(|refunds| target(TOKENS, PAID, MoneyBack { refunds, disputes: &[] }));
        assert!(targets.into_iter().all(|target| target == 44), "400 of 999, of 110 tokens");
    }

    #[test]
    fn nothing_paid_is_nothing_to_take_back() {
        let refunds = [refund(100, RefundStatus::Succeeded)];
        assert_eq!(target(TOKENS, 0, MoneyBack { refunds: &refunds, disputes: &[] }), 0);
    }

    #[test]
    fn never_more_than_was_credited_and_never_less_than_nothing() {
        for paid in [1, 2, 3, 999, i64::MAX] {
            for returned in [0, 1, paid / 2, paid - 1, paid, i64::MAX] {
                for tokens in [0, 1, 7, 1_000_000_000_000_000] {
                    let refunds = [refund(returned, RefundStatus::Succeeded); 2];
                    let taken =
                        target(tokens, paid, MoneyBack { refunds: &refunds, disputes: &[] });
                    assert!(
                        (0..=tokens).contains(&taken),
                        "{taken} of {tokens}, {returned} of {paid}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_token_is_kept_until_all_of_it_is_paid_back() {
        let taken = |returned| {
            let refunds = [refund(returned, RefundStatus::Succeeded)];
            target(3, 100, MoneyBack { refunds: &refunds, disputes: &[] })
        };
        assert_eq!([33, 34, 66, 67, 99, 100].map(taken), [0, 1, 1, 2, 2, 3]);
    }
}
