//! What is refused before the ledger sees it, field by field, and what comes out when nothing is.

use super::{Ask, Batch, Quote, Terms, command, query, set_settings};
use crate::identity::Caller;
use ledger::{Act, Charge, Extent, Mode, Purpose, Time};
use prost_types::{Duration, Timestamp};
use proto::{
    catalog::Catalog,
    reason::Error,
    v1::{self, ErrorReason, batch_command::Command as Wire},
};
use std::sync::LazyLock;

fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> =
        LazyLock::new(|| Catalog::load("domains").expect("shipped"));
    &CATALOG
}

fn terms() -> Terms<'static> {
    static ANYBODY: LazyLock<Caller> = LazyLock::new(Caller::anonymous);
    Terms { catalog: catalog(), caller: &ANYBODY }
}

fn credit() -> v1::CreditRequest {
    v1::CreditRequest {
        account_id: "alice".into(),
        idempotency_key: "k".into(),
        amount: 5,
        kind: v1::GrantKind::Purchased.into(),
        ..Default::default()
    }
}

fn debit() -> v1::DebitRequest {
    v1::DebitRequest {
        account_id: "alice".into(),
        idempotency_key: "k".into(),
        amount: 5,
        ..Default::default()
    }
}

/// The fields that a request is refused for.
fn refused_for<T>(read: Result<T, Error>) -> Vec<String> {
    let Err(error) = read else { return Vec::new() };
    assert_eq!(error.reason, ErrorReason::InvalidField, "{error}");
    error.violations.into_iter().map(|violation| violation.field).collect()
}

#[track_caller]
fn check<R: Ask>(request: R, expected: &[&str]) {
    assert_eq!(refused_for(command(&request, terms())), expected);
}

#[test]
fn every_field_that_is_wrong_is_named_at_once() {
    check(credit(), &[]);
    check(v1::CreditRequest::default(), &["account_id", "idempotency_key", "amount", "kind"]);
    check(
        v1::CreditRequest {
            account_id: "sys/usage".into(),
            idempotency_key: "sys/trial".into(),
            amount: ledger::AMOUNT_MAX + 1,
            kind: v1::GrantKind::Earned.into(),
            expire_time: Some(Timestamp { seconds: -1, nanos: 0 }),
            actions: vec!["juggle".into()],
            cost: Some(v1::Money { amount_minor: -1, currency: "USD".into() }),
            supersede: Some(v1::Supersede { grant_id: "x".into(), carry_over_max: -1 }),
            description: "a\0b".into(),
            reference: "x".repeat(201),
            metadata: [(String::new(), "x".repeat(501))].into(),
            on_behalf_of: "two words".into(),
            ..Default::default()
        },
        &[
            "account_id",
            "idempotency_key",
            "amount",
            "kind",
            "expire_time",
            "actions",
            "cost.amount_minor",
            "cost.currency",
            "supersede.grant_id",
            "supersede.carry_over_max",
            "description",
            "reference",
            "on_behalf_of",
            "metadata",
            "metadata",
        ],
    );
}

#[test]
fn limits_are_inclusive_and_count_characters() {
    let long = |request: &mut v1::CreditRequest, extra: usize| {
        request.account_id = "a".repeat(128 + extra);
        request.idempotency_key = "k".repeat(255 + extra);
        request.description = "ä".repeat(200 + extra);
    };
    let mut request = credit();
    long(&mut request, 0);
    check(request.clone(), &[]);
    long(&mut request, 1);
    check(request, &["account_id", "idempotency_key", "description"]);
}

#[test]
fn a_grant_expires_after_it_becomes_effective_whenever_that_is() {
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let lasting =
        |effective_time, expire_time| v1::CreditRequest { effective_time, expire_time, ..credit() };
    // Long past: a repetition of what was accepted then must not be refused now.
    check(lasting(at(1), at(2)), &[]);
    check(lasting(None, at(1)), &[]);
    check(lasting(at(2), at(2)), &["expire_time"]);
    check(lasting(None, at(253_402_300_800)), &["expire_time"]);
}

#[test]
fn a_charge_is_an_amount_or_an_action() {
    let of = |amount, action: &str, quantity| v1::DebitRequest {
        amount,
        action: action.into(),
        quantity,
        ..debit()
    };
    check(of(0, "", 0), &["amount"]);
    check(of(5, "ai_analysis", 0), &["amount"]);
    check(of(5, "", 2), &["quantity"]);
    check(of(-5, "", 0), &["amount"]);
    check(of(0, "ai_analysis", -1), &["quantity"]);
    check(of(0, "ai_analysis", ledger::AMOUNT_MAX / 5 + 1), &["quantity"]);
    check(of(0, &"x".repeat(1_000), 1), &["action"]);

    let read = command(&of(0, "ai_analysis", 0), terms()).expect("one analysis");
    let charge = Charge::Action { action: "ai_analysis".into(), quantity: 1, unit: 5 };
    let (extent, purpose) = (Extent::Exact, Purpose::Usage);
    assert_eq!(read.act, Act::Debit { charge, extent, purpose });

    let unknown = command(&of(0, "juggle", 1), terms()).expect_err("unknown");
    assert_eq!(unknown.reason, ErrorReason::ActionNotFound);
    assert_eq!(unknown.metadata["action"], "juggle");
}

#[test]
fn a_withdrawal_is_an_exact_amount() {
    let purpose = v1::DebitPurpose::Withdrawal.into();
    check(v1::DebitRequest { purpose, ..debit() }, &[]);
    let mode = v1::DebitMode::UpTo.into();
    check(v1::DebitRequest { purpose, mode, ..debit() }, &["mode"]);
    let action = "ai_analysis".into();
    check(v1::DebitRequest { purpose, amount: 0, action, ..debit() }, &["action"]);
    check(v1::DebitRequest { purpose: 7, mode: 7, ..debit() }, &["mode", "purpose"]);
}

#[test]
fn a_hold_lasts_as_long_as_the_catalog_lets_it() {
    let lasting = |duration| v1::CreateHoldRequest {
        account_id: "alice".into(),
        idempotency_key: "k".into(),
        amount: 5,
        duration,
        ..Default::default()
    };
    let seconds = |seconds| Some(Duration { seconds, nanos: 0 });
    for (duration, expected) in [(None, 15 * 60), (seconds(1), 1), (seconds(604_800), 604_800)] {
        let read = command(&lasting(duration), terms()).expect("a hold");
        let Act::CreateHold { lasts_micros, .. } = read.act else { panic!("{:?}", read.act) };
        assert_eq!(lasts_micros, expected * 1_000_000);
    }
    for duration in [seconds(0), seconds(-1), seconds(604_801), seconds(i64::MAX)] {
        check(lasting(duration), &["duration"]);
    }
}

#[test]
fn a_check_needs_no_key_and_stores_nothing() {
    let authorize = |mode: v1::AuthorizeMode| v1::AuthorizeRequest {
        account_id: "alice".into(),
        amount: 5,
        mode: mode.into(),
        ..Default::default()
    };
    check(authorize(v1::AuthorizeMode::Check), &[]);
    assert_eq!(Ask::mode(&authorize(v1::AuthorizeMode::Check)), Mode::DryRun);
    check(authorize(v1::AuthorizeMode::Charge), &["idempotency_key"]);
    check(authorize(v1::AuthorizeMode::Unspecified), &["idempotency_key", "mode"]);
}

#[test]
fn an_entitlement_says_what_it_allows() {
    use v1::set_entitlement_request::Benefit;
    let allowing = |benefit| v1::SetEntitlementRequest {
        account_id: "alice".into(),
        idempotency_key: "k".into(),
        source: "subscription/1".into(),
        source_version: 1,
        benefit,
        ..Default::default()
    };
    let quota = |units: &[(&str, i64)]| {
        let units = units.iter().map(|(action, units)| ((*action).to_owned(), *units)).collect();
        Some(Benefit::Quota(v1::Quota { units }))
    };
    check(allowing(quota(&[("ai_analysis", 10)])), &[]);
    check(allowing(Some(Benefit::Unlimited(v1::Unlimited::default()))), &[]);
    check(allowing(None), &["benefit"]);
    check(allowing(quota(&[])), &["quota.units"]);
    check(allowing(quota(&[("ai_analysis", 0)])), &["quota.units"]);
    check(allowing(quota(&[("juggle", 1)])), &["quota.units"]);
}

#[test]
fn caps_are_one_per_period() {
    let capped = |caps: &[(i32, i64)]| {
        let cap = |(period, limit): &(i32, i64)| v1::SpendCap {
            period: *period,
            limit: *limit,
            spent: 0,
        };
        let caps = caps.iter().map(cap).collect();
        let request = v1::UpdateAccountRequest {
            account_id: "alice".into(),
            spend_caps: Some(v1::SpendCaps { caps }),
            ..Default::default()
        };
        refused_for(set_settings(&request, terms()))
    };
    assert!(capped(&[(1, 0), (2, 100)]).is_empty());
    assert_eq!(capped(&[(1, 1), (1, 2)]), ["spend_caps.caps[1].period"]);
    assert_eq!(capped(&[(0, -1)]), ["spend_caps.caps[0].limit", "spend_caps.caps[0].period"]);
}

#[test]
fn a_batch_names_the_command_that_is_wrong() {
    let batch = |commands: Vec<Wire>, mode: v1::BatchMode| v1::BatchRequest {
        commands: commands
            .into_iter()
            .map(|command| v1::BatchCommand { command: Some(command) })
            .collect(),
        mode: mode.into(),
        dry_run: false,
    };
    let (atomic, independent) = (v1::BatchMode::Atomic, v1::BatchMode::Independent);
    let read = |request| Batch::read(&request, terms());

    let wrong = Wire::Debit(v1::DebitRequest { amount: -1, ..debit() });
    let request = batch(vec![wrong.clone(), Wire::Credit(credit()), wrong], atomic);
    assert_eq!(refused_for(read(request)), ["commands[0].amount", "commands[2].amount"]);
    assert_eq!(refused_for(read(batch(Vec::new(), atomic))), ["commands"]);
    let many = vec![Wire::Debit(debit()); 1_001];
    assert_eq!(refused_for(read(batch(many, independent))), ["commands"]);

    let action = "juggle".into();
    let unknown = Wire::Debit(v1::DebitRequest { amount: 0, action, ..debit() });
    let commands = vec![Wire::Credit(credit()), unknown];
    let error = read(batch(commands.clone(), atomic)).expect_err("all or nothing");
    assert_eq!((error.reason, &*error.metadata["index"]), (ErrorReason::ActionNotFound, "1"));
    let job = read(batch(commands, independent)).expect("each on its own").job();
    assert_eq!((job.commands.len(), job.mode), (1, Mode::Independent));
}

#[test]
fn a_member_of_a_batch_is_the_same_request_as_the_method_alone() {
    let command_alone = command(&debit(), terms()).expect("a debit");
    let members = vec![v1::BatchCommand { command: Some(Wire::Debit(debit())) }];
    let mode = v1::BatchMode::Atomic.into();
    let request = v1::BatchRequest { commands: members, mode, dry_run: false };
    let batch = Batch::read(&request, terms()).expect("a batch");
    assert_eq!(batch.job().commands, [command_alone]);
}

#[test]
fn a_quote_prices_without_an_account() {
    let items = vec![
        v1::QuoteItem { action: "ai_analysis".into(), quantity: 3 },
        v1::QuoteItem { action: "import_domain".into(), quantity: 0 },
    ];
    let request = v1::QuoteRequest { account_id: String::new(), items };
    let quote = Quote::read(&request, terms()).expect("priced");
    assert!(quote.job().is_none());
    let answer = quote.answer(None, catalog(), Time(0));
    assert_eq!((answer.amount, answer.affordable, answer.refusal), (16, false, None));
}

#[test]
fn a_balance_is_of_the_past_or_of_now() {
    let request = v1::GetBalanceRequest {
        account_id: "alice".into(),
        as_of_time: Some(Timestamp { seconds: 2, nanos: 0 }),
        min_sequence: 0,
    };
    let read = |micros| refused_for(query::balance(&request, terms(), Time(micros)));
    assert!(read(2_000_000).is_empty());
    assert_eq!(read(1_999_999), ["as_of_time"]);
}
