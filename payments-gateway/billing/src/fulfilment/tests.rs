//! Every state beside every session: 10 × 36 cases by what must hold of each, and each difference alone.

use super::*;

const STATES: [State; 10] = [
    State::Created,
    State::Open,
    State::Awaiting,
    State::Paid,
    State::Credited,
    State::Expired,
    State::Failed,
    State::Mismatch,
    State::PartlyReversed,
    State::Reversed,
];
const STATUSES: [SessionStatus; 3] =
    [SessionStatus::Open, SessionStatus::Complete, SessionStatus::Expired];
const PAYMENTS: [PaymentStatus; 3] =
    [PaymentStatus::Paid, PaymentStatus::Unpaid, PaymentStatus::NoPaymentRequired];
const INTENTS: [Intent; 4] = [Intent::None, Intent::Processing, Intent::Succeeded, Intent::Failed];

fn quote() -> Quote {
    Quote {
        purchase_id: "p1".to_owned(),
        tokens: 110,
        price_minor: 999,
        currency: "usd".to_owned(),
        livemode: false,
        line: (Price::Stripe("price_1".to_owned()), 1),
        may_be_free: false,
    }
}

fn line(price: &str, unit_amount_minor: i64, quantity: i64) -> Line {
    Line { price_id: price.to_owned(), unit_amount_minor, quantity }
}

fn paid() -> Session {
    Session {
        purchase_id: Some("p1".to_owned()),
        mode: Mode::Payment,
        status: SessionStatus::Complete,
        payment_status: PaymentStatus::Paid,
        intent: Intent::Succeeded,
        currency: "usd".to_owned(),
        livemode: false,
        subtotal_minor: 999,
        discount_minor: 0,
        added_minor: 0,
        total_minor: 999,
        discounts_are_ours: true,
        lines: vec![line("price_1", 999, 1)],
    }
}

fn free() -> Session {
    Session {
        payment_status: PaymentStatus::NoPaymentRequired,
        intent: Intent::None,
        discount_minor: 999,
        total_minor: 0,
        ..paid()
    }
}

/// Every state beside every session that is otherwise as it was quoted.
fn cases() -> impl Iterator<Item = (State, Session)> {
    STATES.into_iter().flat_map(|state| {
        STATUSES.into_iter().flat_map(move |status| {
            PAYMENTS.into_iter().flat_map(move |payment_status| {
                INTENTS.into_iter().map(move |intent| {
                    (state, Session { status, payment_status, intent, ..paid() })
                })
            })
        })
    })
}

fn is_done(state: State) -> bool {
    matches!(state, State::Credited | State::PartlyReversed | State::Reversed)
}

#[test]
fn there_are_360_cases() {
    assert_eq!(cases().count(), 360);
}

#[test]
fn what_is_credited_is_never_credited_again() {
    for (state, session) in cases().filter(|(state, _)| is_done(*state)) {
        assert_eq!(
            decide(&quote(), state, &session),
            Decision::Nothing(Why::Credited),
            "{state:?} {session:?}"
        );
    }
}

#[test]
fn money_that_is_there_is_credited_even_after_the_purchase_was_given_up() {
    for state in STATES.into_iter().filter(|state| !is_done(*state) && *state != State::Mismatch) {
        let credit = Decision::Credit { tokens: 110, paid_minor: 999 };
        assert_eq!(decide(&quote(), state, &paid()), credit, "{state:?}");
    }
}

#[test]
fn nothing_is_credited_before_the_money_is_there() {
    for (state, session) in cases() {
        let is_there = session.status == SessionStatus::Complete
            && session.payment_status == PaymentStatus::Paid;
        if !is_there {
            let decision = decide(&quote(), state, &session);
            assert!(
                !matches!(decision, Decision::Credit { .. }),
                "{state:?} {session:?}: {decision:?}"
            );
        }
    }
}

#[test]
fn a_purchase_waits_while_its_bank_does_and_fails_when_it_says_no() {
    let unpaid = |intent| Session { payment_status: PaymentStatus::Unpaid, intent, ..paid() };
    for state in [State::Created, State::Open, State::Awaiting] {
        assert_eq!(decide(&quote(), state, &unpaid(Intent::Processing)), Decision::Await);
        assert_eq!(decide(&quote(), state, &unpaid(Intent::Failed)), Decision::Fail);
    }
    assert_eq!(
        decide(&quote(), State::Failed, &unpaid(Intent::Failed)),
        Decision::Nothing(Why::Closed)
    );
}

#[test]
fn a_session_that_expired_closes_its_purchase_once() {
    let expired =
        Session { status: SessionStatus::Expired, payment_status: PaymentStatus::Unpaid, ..paid() };
    assert_eq!(decide(&quote(), State::Open, &expired), Decision::Expire);
    assert_eq!(decide(&quote(), State::Expired, &expired), Decision::Nothing(Why::Closed));
    assert_eq!(decide(&quote(), State::Credited, &expired), Decision::Nothing(Why::Credited));
}

#[test]
fn an_operators_purchase_is_left_alone() {
    for (_, session) in cases().filter(|(state, _)| *state == State::Mismatch) {
        assert_eq!(
            decide(&quote(), State::Mismatch, &session),
            Decision::Nothing(Why::WithOperator)
        );
    }
}

#[test]
fn each_difference_alone_credits_nothing_and_is_named() {
    let other_lines = vec![line("price_2", 999, 1)];
    let more_lines = vec![line("price_1", 999, 1), line("price_1", 999, 1)];
    let more_of_it = vec![line("price_1", 999, 2)];
    let table: Vec<(Session, Difference)> = vec![
        (Session { purchase_id: None, ..paid() }, Difference::Purchase(None)),
        (
            Session { purchase_id: Some("p2".to_owned()), ..paid() },
            Difference::Purchase(Some("p2".to_owned())),
        ),
        (Session { mode: Mode::Subscription, ..paid() }, Difference::Mode(Mode::Subscription)),
        (Session { livemode: true, ..paid() }, Difference::Livemode(true)),
        (Session { currency: "eur".to_owned(), ..paid() }, Difference::Currency("eur".to_owned())),
        (Session { lines: vec![], ..paid() }, Difference::Lines(vec![])),
        (Session { lines: other_lines.clone(), ..paid() }, Difference::Lines(other_lines)),
        (Session { lines: more_lines.clone(), ..paid() }, Difference::Lines(more_lines)),
        (Session { lines: more_of_it.clone(), ..paid() }, Difference::Lines(more_of_it)),
        (Session { subtotal_minor: 1, total_minor: 1, ..paid() }, Difference::Subtotal(1)),
        (
            Session { discount_minor: 99, total_minor: 900, discounts_are_ours: false, ..paid() },
            Difference::Discount(99),
        ),
        (Session { total_minor: 998, ..paid() }, Difference::Total(998)),
        (
            Session { subtotal_minor: i64::MIN, discount_minor: 1, ..paid() },
            Difference::Subtotal(i64::MIN),
        ),
    ];
    for (session, difference) in table {
        let decision = decide(&quote(), State::Open, &session);
        let Decision::Mismatch(found) = decision else { panic!("{session:?}: {decision:?}") };
        assert!(found.contains(&difference), "{difference:?} in {found:?}");
    }
}

#[test]
fn a_discount_and_a_tax_of_ours_are_no_difference() {
    let session = Session { discount_minor: 99, added_minor: 171, total_minor: 1071, ..paid() };
    assert_eq!(
        decide(&quote(), State::Open, &session),
        Decision::Credit { tokens: 110, paid_minor: 1071 }
    );
}

#[test]
fn a_price_that_we_sent_is_known_by_its_amount() {
    let quote = Quote { line: (Price::Inline(333), 3), ..quote() };
    let session = Session { lines: vec![line("price_made_by_stripe", 333, 3)], ..paid() };
    assert_eq!(
        decide(&quote, State::Open, &session),
        Decision::Credit { tokens: 110, paid_minor: 999 }
    );
    let dearer = Session { lines: vec![line("price_made_by_stripe", 334, 3)], ..paid() };
    assert!(matches!(decide(&quote, State::Open, &dearer), Decision::Mismatch(_)));
}

#[test]
fn what_costs_nothing_is_credited_only_if_that_is_allowed_and_the_promotion_is_ours() {
    let allowed = Quote { may_be_free: true, ..quote() };
    assert_eq!(
        decide(&allowed, State::Open, &free()),
        Decision::Credit { tokens: 110, paid_minor: 0 }
    );
    assert_eq!(decide(&quote(), State::Open, &free()), Decision::Mismatch(vec![Difference::Free]));
    let foreign = Session { discounts_are_ours: false, ..free() };
    assert_eq!(
        decide(&allowed, State::Open, &foreign),
        Decision::Mismatch(vec![Difference::Discount(999)])
    );
    let says_paid = Session { payment_status: PaymentStatus::Paid, ..free() };
    assert_eq!(
        decide(&quote(), State::Open, &says_paid),
        Decision::Mismatch(vec![Difference::Free])
    );
}
