"""Subscriptions begin, renew, change, stop: a year of them by the clock."""

from stripe import CardError, InvalidRequestError

from harness import *

GOOD, FAILS_LATER = "4242424242424242", "4000000000000341"


def _subscribe(customer, price, **more):
    return v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}], **more})


def _renew(subscription, month):
    """To just after that renewal, an hour for its draft included."""
    with events() as seen:
        advance_to(after_months(subscription.billing_cycle_anchor, month) + 2 * HOUR)
    return seen


def _period(subscription):
    item = v1.subscriptions.retrieve(subscription.id)["items"].data[0]
    return item.current_period_start, item.current_period_end


def a_subscription_begins_paid():
    customer, price = a_customer(GOOD), a_price(1000, interval="month")
    with events() as seen:
        subscription = _subscribe(customer, price, metadata={"plan": "pro"})
    holds(subscription, object="subscription", status="active", customer=customer.id, metadata={"plan": "pro"})
    holds(subscription, currency="usd", cancel_at_period_end=False, collection_method="charge_automatically")
    equal(_period(subscription), (now(), after_months(now(), 1)))
    equal(len(subscription["items"].data), 1)
    item = subscription["items"].data[0]
    equal((item.price.id, item.quantity), (price.id, 1))
    invoice = latest_invoice(subscription)
    holds(invoice, status="paid", billing_reason="subscription_create", total=1000, amount_paid=1000)
    seen.include("customer.subscription.created", "invoice.created", "invoice.finalized", "invoice.paid")
    seen.include(
        "invoice.payment_succeeded", "invoice_payment.paid", "payment_intent.succeeded", "charge.succeeded"
    )
    seen.exclude("invoice.payment_failed", "customer.subscription.deleted")
    equal(len(seen.of("invoice.paid")), 1)


def a_year_has_twelve_renewals_and_an_upgrade_in_the_middle():
    customer = a_customer(GOOD)
    product = v1.products.create({"name": "Plan"})
    small, large = (a_price(amount, interval="month", product=product.id) for amount in (1000, 2500))
    subscription = _subscribe(customer, small)
    item = subscription["items"].data[0].id
    start = subscription.billing_cycle_anchor
    for month in range(1, 13):
        seen = _renew(subscription, month)
        seen.include("invoice.created", "invoice.finalized", "invoice.paid", "invoice.payment_succeeded")
        seen.include("customer.subscription.updated", "payment_intent.succeeded", "charge.succeeded")
        seen.exclude("invoice.payment_failed", "customer.subscription.deleted")
        period = (after_months(start, month), after_months(start, month + 1))
        equal(_period(subscription), period, f"month {month}:")
        invoice = latest_invoice(subscription)
        amount = 1000 if month <= 6 else 2500
        holds(invoice, status="paid", billing_reason="subscription_cycle", total=amount, amount_paid=amount)
        holds(seen.only("invoice.paid"), id=invoice.id)
        lines = invoice.lines.data
        equal([(x.period.start, x.period.end, x.amount) for x in lines], [(*period, amount)])
        if month == 6:
            _upgrade_at_half_time(subscription, item, small, large, period)
    equal(len(v1.invoices.list({"subscription": subscription.id, "limit": 100}).data), 14)
    reasons = [x.billing_reason for x in v1.invoices.list({"subscription": subscription.id, "limit": 100}).data]
    equal(
        {reason: reasons.count(reason) for reason in reasons},
        {
            "subscription_create": 1,
            "subscription_cycle": 12,
            "subscription_update": 1,
        },
    )


def _upgrade_at_half_time(subscription, item, small, large, period):
    start, end = period
    advance_to(start + (end - start) // 2)
    moment = now()
    with events() as seen:
        changed = v1.subscriptions.update(
            subscription.id,
            {"items": [{"id": item, "price": large.id}], "proration_behavior": "always_invoice"},
        )
    equal(changed["items"].data[0].price.id, large.id)
    equal(_period(subscription), period, "an upgrade keeps the period:")
    seen.include("customer.subscription.updated", "invoice.created", "invoice.paid")
    invoice = latest_invoice(subscription)
    holds(invoice, status="paid", billing_reason="subscription_update")
    left = (end - moment) / (end - start)
    got = sorted((x.amount, x.pricing.price_details.price) for x in invoice.lines.data)
    equal([price for _, price in got], [small.id, large.id], "lines:")
    for (amount, _), exact in zip(got, (-1000 * left, 2500 * left)):
        assert abs(amount - exact) <= 0.5, f"{amount} is not {exact}"
    equal(invoice.total, sum(amount for amount, _ in got))
    for line in invoice.lines.data:
        equal(line.parent.subscription_item_details.proration, True)
        equal((line.period.start, line.period.end), (moment, end))


def prorations_wait_for_the_next_invoice_unless_asked_otherwise():
    customer = a_customer(GOOD)
    product = v1.products.create({"name": "Plan"})
    small, large = (a_price(amount, interval="month", product=product.id) for amount in (1000, 2500))
    subscription = _subscribe(customer, small)
    first = subscription.latest_invoice
    start, end = _period(subscription)
    advance_to(start + (end - start) // 4)
    left = (end - now()) / (end - start)
    v1.subscriptions.update(
        subscription.id, {"items": [{"id": subscription["items"].data[0].id, "price": large.id}]}
    )
    equal(v1.subscriptions.retrieve(subscription.id).latest_invoice, first, "no invoice yet:")
    pending = v1.invoice_items.list({"customer": customer.id, "pending": True}).data
    equal(len(pending), 2, "pending prorations")
    _renew(subscription, 1)
    invoice = latest_invoice(subscription)
    holds(invoice, billing_reason="subscription_cycle", status="paid")
    prorated = [x.amount for x in invoice.lines.data if x.amount != 2500]
    for amount, exact in zip(sorted(prorated), (-1000 * left, 2500 * left)):
        assert abs(amount - exact) <= 0.5, f"{amount} is not {exact}"
    equal(invoice.total, 2500 + sum(prorated))
    equal(v1.invoice_items.list({"customer": customer.id, "pending": True}).data, [])


def a_downgrade_is_credited():
    for quarter, due in ((3, 625), (1, 0)):
        customer = a_customer(GOOD)
        product = v1.products.create({"name": "Plan"})
        small, large = (a_price(amount, interval="month", product=product.id) for amount in (1000, 2500))
        subscription = _subscribe(customer, large)
        start, end = _period(subscription)
        advance_to(start + (end - start) * quarter // 4)
        items = [{"id": subscription["items"].data[0].id, "price": small.id}]
        v1.subscriptions.update(subscription.id, {"items": items})
        _renew(subscription, 1)
        invoice = latest_invoice(subscription)
        total = 1000 + round(-2500 * (4 - quarter) / 4) + round(1000 * (4 - quarter) / 4)
        holds(invoice, status="paid", total=total, amount_due=due, amount_paid=due)
        # What is below nothing is the customer's, and lowers the invoice after.
        credit = min(total, 0)
        equal(v1.customers.retrieve(customer.id).balance, credit)
        _renew(subscription, 2)
        holds(latest_invoice(subscription), total=1000, amount_due=1000 + credit, amount_paid=1000 + credit)
        equal(v1.customers.retrieve(customer.id).balance, 0)
        v1.subscriptions.cancel(subscription.id)


def a_change_without_proration_costs_nothing_until_renewal():
    customer = a_customer(GOOD)
    small, large = a_price(1000, interval="month"), a_price(2500, interval="month")
    subscription = _subscribe(customer, small)
    v1.subscriptions.update(
        subscription.id,
        {"items": [{"id": subscription["items"].data[0].id, "price": large.id}], "proration_behavior": "none"},
    )
    equal(v1.invoice_items.list({"customer": customer.id}).data, [])
    _renew(subscription, 1)
    equal([x.amount for x in latest_invoice(subscription).lines.data], [2500])


def the_last_day_of_a_month_is_kept_as_anchor():
    today = datetime.datetime.fromtimestamp(now(), datetime.timezone.utc)
    advance_to(datetime.datetime(today.year + 1, 1, 31, 10, tzinfo=datetime.timezone.utc).timestamp())
    subscription = _subscribe(a_customer(GOOD), a_price(1000, interval="month"))
    for month in (1, 2, 3):
        _renew(subscription, month)
        start = subscription.billing_cycle_anchor
        equal(_period(subscription), (after_months(start, month), after_months(start, month + 1)))


def a_year_is_billed_once():
    subscription = _subscribe(a_customer(GOOD), a_price(9900, interval="year"))
    start = subscription.billing_cycle_anchor
    equal(_period(subscription), (start, after_months(start, 12)))
    with events() as seen:
        advance_to(after_months(start, 12) + 2 * HOUR)
    holds(seen.only("invoice.paid"), total=9900, billing_reason="subscription_cycle")


def a_failed_renewal_is_past_due_and_recovers():
    customer = a_customer(GOOD)
    good = v1.customers.retrieve(customer.id).invoice_settings.default_payment_method
    subscription = _subscribe(customer, a_price(1000, interval="month"))
    use_card(customer, FAILS_LATER)
    seen = _renew(subscription, 1)
    seen.include("invoice.payment_failed", "customer.subscription.updated", "payment_intent.payment_failed")
    seen.exclude("invoice.paid", "customer.subscription.deleted")
    holds(v1.subscriptions.retrieve(subscription.id), status="past_due")
    invoice = latest_invoice(subscription)
    holds(invoice, status="open", attempt_count=1, attempted=True, amount_remaining=1000, amount_paid=0)
    assert invoice.next_payment_attempt > now(), invoice.next_payment_attempt
    with events() as seen:
        advance_to(invoice.next_payment_attempt + HOUR)
    seen.include("invoice.payment_failed")
    holds(latest_invoice(subscription), status="open", attempt_count=2)
    with events() as seen:
        paid = v1.invoices.pay(invoice.id, {"payment_method": good})
    holds(paid, status="paid", amount_remaining=0, amount_paid=1000)
    holds(v1.subscriptions.retrieve(subscription.id), status="active")
    seen.include("invoice.paid", "invoice.payment_succeeded", "customer.subscription.updated")
    equal(_period(subscription)[0], after_months(subscription.billing_cycle_anchor, 1))


def a_failed_renewal_is_retried_with_a_new_card():
    customer = a_customer(GOOD)
    subscription = _subscribe(customer, a_price(1000, interval="month"))
    use_card(customer, FAILS_LATER)
    _renew(subscription, 1)
    use_card(customer, GOOD)
    advance_to(latest_invoice(subscription).next_payment_attempt + HOUR)
    holds(latest_invoice(subscription), status="paid", attempt_count=2)
    holds(v1.subscriptions.retrieve(subscription.id), status="active")


def a_first_payment_that_fails_leaves_it_incomplete():
    customer, price = a_customer(FAILS_LATER), a_price(1000, interval="month")
    with events() as seen:
        subscription = _subscribe(customer, price)
    holds(subscription, status="incomplete")
    holds(latest_invoice(subscription), status="open", billing_reason="subscription_create")
    seen.include("customer.subscription.created", "invoice.payment_failed")
    seen.exclude("invoice.paid")
    with raises(CardError, 402, "card_declined"):
        _subscribe(customer, price, payment_behavior="error_if_incomplete")
    equal(len(v1.subscriptions.list({"status": "all"}).data), 1)
    with events() as seen:
        advance(24 * HOUR)
    holds(v1.subscriptions.retrieve(subscription.id), status="incomplete_expired")
    holds(latest_invoice(subscription), status="void")
    seen.include("customer.subscription.updated", "invoice.voided")
    seen.exclude("invoice.paid")


def an_incomplete_subscription_is_completed_by_its_payment():
    customer = a_customer()
    subscription = _subscribe(customer, a_price(1000, interval="month"), payment_behavior="default_incomplete")
    holds(subscription, status="incomplete")
    invoice = latest_invoice(subscription)
    holds(invoice, status="open", amount_due=1000)
    payment = v1.invoice_payments.list({"invoice": invoice.id}).data[0].payment.payment_intent
    with events() as seen:
        v1.payment_intents.confirm(payment, {"payment_method": a_card().id})
    holds(v1.subscriptions.retrieve(subscription.id), status="active")
    holds(v1.invoices.retrieve(invoice.id), status="paid")
    seen.include("invoice.paid", "customer.subscription.updated", "payment_intent.succeeded")


def nobody_subscribes_without_a_way_to_pay():
    with raises(InvalidRequestError, 400, "resource_missing"):
        _subscribe(a_customer(), a_price(1000, interval="month"))
    with raises(InvalidRequestError, 400):
        _subscribe(a_customer(GOOD), a_price(1000))


def a_subscription_ends_with_its_period():
    subscription = _subscribe(a_customer(GOOD), a_price(1000, interval="month"))
    _, end = _period(subscription)
    with events() as seen:
        ending = v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    holds(ending, status="active", cancel_at_period_end=True, cancel_at=end)
    equal(seen[-1]["data"]["previous_attributes"]["cancel_at_period_end"], False)
    with events() as seen:
        advance_to(end + 2 * HOUR)
    ended = v1.subscriptions.retrieve(subscription.id)
    holds(ended, status="canceled", ended_at=end)
    seen.include("customer.subscription.deleted")
    seen.exclude("invoice.paid", "invoice.created")


def an_end_is_taken_back():
    subscription = _subscribe(a_customer(GOOD), a_price(1000, interval="month"))
    v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    kept = v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    holds(kept, cancel_at_period_end=False, cancel_at=None)
    _renew(subscription, 1).include("invoice.paid")


def a_subscription_ends_at_once():
    customer = a_customer(GOOD)
    subscription = _subscribe(customer, a_price(1000, interval="month"))
    with events() as seen:
        holds(v1.subscriptions.cancel(subscription.id), status="canceled", ended_at=now(), canceled_at=now())
    holds(seen.only("customer.subscription.deleted"), id=subscription.id, status="canceled")
    with raises(InvalidRequestError, 404, "resource_missing"):
        v1.subscriptions.cancel(subscription.id)
    equal(v1.subscriptions.list({"customer": customer.id}).data, [])
    equal(
        [x.id for x in v1.subscriptions.list({"customer": customer.id, "status": "all"}).data],
        [subscription.id],
    )
    equal([x.id for x in v1.subscriptions.list({"status": "canceled"}).data], [subscription.id])
    with events() as seen:
        advance(40 * DAY)
    seen.exclude("invoice.created")


def subscriptions_are_listed_and_searched():
    customer = a_customer(GOOD)
    price, other = a_price(1000, interval="month"), a_price(2000, interval="month")
    first = _subscribe(customer, price, metadata={"order": "1"})
    second = _subscribe(customer, other)
    equal([x.id for x in v1.subscriptions.list({"customer": customer.id}).data], [second.id, first.id])
    equal([x.id for x in v1.subscriptions.list({"price": price.id}).data], [first.id])
    equal([x.id for x in v1.subscriptions.search({"query": "metadata['order']:'1'"}).data], [first.id])
    items = v1.subscription_items.list({"subscription": first.id}).data
    equal([x.price.id for x in items], [price.id])
    holds(v1.subscription_items.retrieve(items[0].id), subscription=first.id, quantity=1)


def a_quantity_is_multiplied():
    customer, price = a_customer(GOOD), a_price(1000, interval="month")
    items = [{"price": price.id, "quantity": 3}]
    subscription = v1.subscriptions.create({"customer": customer.id, "items": items})
    line = latest_invoice(subscription).lines.data[0]
    equal((line.amount, line.quantity), (3000, 3))
