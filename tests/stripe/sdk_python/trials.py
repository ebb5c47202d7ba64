"""Trials, and subscriptions that pause."""

from stripe import InvalidRequestError

from harness import *


def _subscribe(customer, **more):
    price = a_price(1000, interval="month")
    return v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}], **more})


def _status(subscription):
    return v1.subscriptions.retrieve(subscription.id).status


def a_trial_is_free_and_its_end_is_announced():
    start = now()
    with events() as seen:
        subscription = _subscribe(a_customer("4242424242424242"), trial_period_days=7)
    holds(subscription, status="trialing", trial_start=start, trial_end=start + 7 * DAY)
    invoice = latest_invoice(subscription)
    holds(invoice, status="paid", total=0, amount_paid=0, billing_reason="subscription_create")
    equal((invoice.lines.data[0].period.start, invoice.lines.data[0].period.end), (start, start + 7 * DAY))
    seen.include("customer.subscription.created", "invoice.paid")
    seen.exclude("payment_intent.succeeded", "charge.succeeded", "customer.subscription.trial_will_end")
    with events() as seen:
        advance_to(start + 4 * DAY - HOUR)
    seen.exclude("customer.subscription.trial_will_end")
    with events() as seen:
        advance_to(start + 4 * DAY + HOUR)
    holds(seen.only("customer.subscription.trial_will_end"), id=subscription.id, status="trialing")
    with events() as seen:
        advance_to(start + 7 * DAY + 2 * HOUR)
    equal(_status(subscription), "active")
    holds(latest_invoice(subscription), status="paid", total=1000, billing_reason="subscription_cycle")
    seen.include("customer.subscription.updated", "invoice.paid", "payment_intent.succeeded")
    seen.exclude("customer.subscription.trial_will_end")


def a_short_trial_announces_its_end_at_once():
    with events() as seen:
        _subscribe(a_customer("4242424242424242"), trial_period_days=1)
    seen.include("customer.subscription.trial_will_end")


def a_trial_is_ended_early():
    subscription = _subscribe(a_customer("4242424242424242"), trial_period_days=14)
    advance(DAY)
    holds(v1.subscriptions.update(subscription.id, {"trial_end": "now"}), status="active", trial_end=now())
    holds(latest_invoice(subscription), status="paid", total=1000)


def a_trial_without_a_card_fails_at_its_end():
    subscription = _subscribe(a_customer(), trial_period_days=7)
    equal(_status(subscription), "trialing")
    advance(7 * DAY + 2 * HOUR)
    equal(_status(subscription), "past_due")


def a_trial_without_a_card_pauses_if_told_so():
    customer = a_customer()
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = _subscribe(customer, trial_period_days=7, trial_settings=settings)
    with events() as seen:
        advance(7 * DAY + 2 * HOUR)
    equal(_status(subscription), "paused")
    seen.include("customer.subscription.paused")
    seen.exclude("invoice.paid", "invoice.payment_failed")
    with events() as seen:
        advance(40 * DAY)
    seen.exclude("invoice.created")
    use_card(customer, "4242424242424242")
    with events() as seen:
        v1.subscriptions.resume(subscription.id)
    equal(_status(subscription), "active")
    seen.include("customer.subscription.resumed", "invoice.paid")
    holds(latest_invoice(subscription), status="paid", total=1000)
    item = v1.subscriptions.retrieve(subscription.id)["items"].data[0]
    equal(item.current_period_start, now(), "the period begins when it resumes:")


def a_trial_without_a_card_is_cancelled_if_told_so():
    settings = {"end_behavior": {"missing_payment_method": "cancel"}}
    subscription = _subscribe(a_customer(), trial_period_days=7, trial_settings=settings)
    with events() as seen:
        advance(7 * DAY + 2 * HOUR)
    equal(_status(subscription), "canceled")
    seen.include("customer.subscription.deleted")


def what_is_not_paused_is_not_resumed():
    with raises(InvalidRequestError, 400):
        v1.subscriptions.resume(_subscribe(a_customer("4242424242424242")).id)


def collection_is_paused():
    for behavior, status in {
        "void": "void",
        "keep_as_draft": "draft",
        "mark_uncollectible": "uncollectible",
    }.items():
        subscription = _subscribe(a_customer("4242424242424242"))
        anchor = subscription.billing_cycle_anchor
        paused = v1.subscriptions.update(subscription.id, {"pause_collection": {"behavior": behavior}})
        equal((paused.status, paused.pause_collection.behavior), ("active", behavior))
        with events() as seen:
            advance_to(after_months(anchor, 1) + 2 * HOUR)
        holds(latest_invoice(subscription), status=status, billing_reason="subscription_cycle")
        equal(_status(subscription), "active")
        seen.exclude("invoice.paid", "charge.succeeded")
        holds(v1.subscriptions.update(subscription.id, {"pause_collection": ""}), pause_collection=None)
        advance_to(after_months(anchor, 2) + 2 * HOUR)
        holds(latest_invoice(subscription), status="paid", total=1000)
        v1.subscriptions.cancel(subscription.id)
