"""What is owed is asked for at the times that are set, and by whoever wants to know sooner."""

from stripe import CardError, InvalidRequestError

from harness import *

FAILS_LATER = "4000000000000341"
IBAN_FAILS = "IT60X0542811101000000123456"


def _subscribe(customer, price, **more):
    return v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}], **more})


def tries_by_hand_use_up_none_of_the_others():
    customer = a_customer("4242424242424242")
    subscription = _subscribe(customer, a_price(interval="month"))
    use_card(customer, FAILS_LATER)
    advance(32 * DAY)
    invoice = latest_invoice(subscription)
    holds(invoice, status="open", attempt_count=1)
    for _ in range(5):
        with raises(CardError, 402):
            v1.invoices.pay(invoice.id)
    holds(latest_invoice(subscription), attempt_count=1, next_payment_attempt=invoice.next_payment_attempt)
    holds(v1.subscriptions.retrieve(subscription.id), status="past_due")


def it_ends_when_every_try_was_in_vain():
    customer = a_customer("4242424242424242")
    subscription = _subscribe(customer, a_price(interval="month"))
    use_card(customer, FAILS_LATER)
    with events() as seen:
        advance(60 * DAY)
    ended = v1.subscriptions.retrieve(subscription.id)
    holds(ended, status="canceled")
    equal(ended.cancellation_details.reason, "payment_failed")
    seen.include("invoice.payment_failed", "customer.subscription.deleted")


def a_first_debit_that_fails_is_past_due():
    price = a_price(currency="eur", interval="month")
    session = a_session(price, mode="subscription")
    paid = pay_page(session, an_iban(IBAN_FAILS).id)
    holds(paid, status="complete", payment_status="unpaid")
    with events() as seen:
        advance(2 * DAY)
    seen.include("checkout.session.async_payment_failed", "invoice.payment_failed")
    holds(v1.subscriptions.retrieve(paid.subscription), status="past_due")


def a_debit_under_way_is_not_made_twice():
    price = a_price(currency="eur", interval="month")
    paid = pay_page(a_session(price, mode="subscription"), an_iban("AT611904300234573201").id)
    for _ in range(2):
        with raises(InvalidRequestError, 400):
            v1.invoices.pay(paid.invoice)
    equal(len(v1.charges.list().data), 1)
    advance(2 * DAY)
    holds(v1.invoices.retrieve(paid.invoice), status="paid")


def what_a_page_made_is_not_cancelled_behind_its_back():
    session = a_session()
    pay_page(session, "pm_card_threeDSecure2Required")
    waiting = v1.payment_intents.list().data[0]
    holds(waiting, status="requires_action")
    with raises(InvalidRequestError, 400):
        v1.payment_intents.cancel(waiting.id)
    v1.checkout.sessions.expire(session.id)
    holds(v1.payment_intents.retrieve(waiting.id), status="canceled")


def a_new_anchor_is_paid_once():
    customer = a_customer("4242424242424242")
    product = v1.products.create({"name": "Plan"})
    small, large = (a_price(amount, interval="month", product=product.id) for amount in (1000, 3000))
    subscription = _subscribe(customer, small)
    item = plain(subscription)["items"]["data"][0]
    half = (item["current_period_end"] - item["current_period_start"]) // 2
    advance(half)
    v1.subscriptions.update(
        subscription.id,
        {"items": [{"id": item["id"], "price": large.id}], "billing_cycle_anchor": "now"},
    )
    equal(latest_invoice(subscription).total, 3000 - 500)


def what_waits_for_a_customer_is_on_the_next_invoice():
    customer = a_customer("4242424242424242")
    subscription = _subscribe(customer, a_price(1000, interval="month"))
    v1.invoice_items.create({"customer": customer.id, "amount": 300, "currency": "usd"})
    advance(32 * DAY)
    equal(latest_invoice(subscription).total, 1300)


def a_void_invoice_used_no_credit():
    customer = v1.customers.create({"email": "ada@example.com"})
    v1.customers.update(customer.id, {"balance": -400})
    v1.invoice_items.create({"customer": customer.id, "amount": 1000, "currency": "usd"})
    invoice = v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    invoice = v1.invoices.finalize_invoice(invoice.id)
    holds(invoice, amount_due=600, starting_balance=-400, ending_balance=0)
    equal(v1.customers.retrieve(customer.id).balance, 0)
    v1.invoices.void_invoice(invoice.id)
    equal(v1.customers.retrieve(customer.id).balance, -400)


def a_year_of_renewals_arrives():
    with receiver() as (url, came):
        v1.webhook_endpoints.create({"url": url, "enabled_events": ["invoice.paid"]})
        customer = a_customer("4242424242424242")
        _subscribe(customer, a_price(interval="month"))
        advance(365 * DAY)
        wait_until(lambda: len(came) >= 12, "twelve paid invoices")
    ids = {event["data"]["object"]["id"] for event in came}
    equal(ids, {invoice.id for invoice in v1.invoices.list({"status": "paid", "limit": 100}).data})


def a_coupon_is_for_its_currency_and_a_code_for_its_orders():
    coupon = v1.coupons.create({"amount_off": 500, "currency": "usd"})
    yen = a_price(2000, currency="jpy")
    with raises(InvalidRequestError, 400):
        a_session(yen, discounts=[{"coupon": coupon.id}])
    code = v1.promotion_codes.create(
        {
            "promotion": {"type": "coupon", "coupon": coupon.id},
            "restrictions": {"minimum_amount": 3000, "minimum_amount_currency": "usd"},
        }
    )
    with raises(InvalidRequestError, 400):
        a_session(a_price(2000), discounts=[{"promotion_code": code.id}])
    equal(a_session(a_price(3000), discounts=[{"promotion_code": code.id}]).amount_total, 2500)


def a_cursor_need_not_be_wanted():
    v1.customers.create({})
    last = v1.events.list({"limit": 1}).data[0]
    v1.products.create({"name": "Tokens"})
    newer = v1.events.list({"ending_before": last.id, "types": ["product.created"]}).data
    equal([event.type for event in newer], ["product.created"])


def a_renewal_whose_card_is_gone_is_owed_and_asked_for():
    customer = a_customer()
    card = v1.payment_methods.attach(a_card().id, {"customer": customer.id})
    subscription = _subscribe(customer, a_price(interval="month"), default_payment_method=card.id)
    v1.payment_methods.detach(card.id)
    equal(v1.subscriptions.retrieve(subscription.id).default_payment_method, None)
    with events() as seen:
        advance(32 * DAY)
    seen.include("invoice.payment_failed")
    holds(v1.subscriptions.retrieve(subscription.id), status="past_due")
    holds(latest_invoice(subscription), status="open", attempt_count=1)


def nobody_pays_with_what_is_somebody_elses():
    owner, other = a_customer("4242424242424242"), a_customer("4242424242424242")
    card = v1.customers.payment_methods.list(owner.id).data[0]
    subscription = _subscribe(other, a_price(interval="month"))
    with raises(InvalidRequestError, 400):
        v1.subscriptions.update(subscription.id, {"default_payment_method": card.id})
    v1.invoice_items.create({"customer": other.id, "amount": 500, "currency": "usd"})
    invoice = v1.invoices.create({"customer": other.id, "pending_invoice_items_behavior": "include"})
    with raises(InvalidRequestError, 400):
        v1.invoices.pay(invoice.id, {"payment_method": card.id})


def what_ended_is_not_asked_for_again():
    customer = a_customer("4242424242424242")
    subscription = _subscribe(customer, a_price(interval="day"))
    use_card(customer, FAILS_LATER)
    advance(2 * DAY + 3 * HOUR)
    v1.subscriptions.cancel(subscription.id)
    use_card(customer, "4242424242424242")
    advance(20 * DAY)
    statuses = [invoice.status for invoice in v1.invoices.list({"subscription": subscription.id}).data]
    equal(sorted(set(statuses[:-1])), ["open"])


def money_on_its_way_cannot_be_called_back():
    customer = a_customer()
    v1.invoice_items.create({"customer": customer.id, "amount": 5000, "currency": "eur"})
    invoice = v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    debit = v1.payment_methods.attach(an_iban("AT611904300234573201").id, {"customer": customer.id})
    v1.invoices.pay(invoice.id, {"payment_method": debit.id})
    with raises(InvalidRequestError, 400):
        v1.invoices.void_invoice(invoice.id)
    with raises(InvalidRequestError, 400):
        v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    advance(2 * DAY)
    holds(v1.invoices.retrieve(invoice.id), status="paid", amount_paid=5000)


def what_is_resumed_goes_on_once_it_is_paid():
    customer = a_customer()
    subscription = _subscribe(
        customer,
        a_price(interval="month"),
        trial_period_days=1,
        trial_settings={"end_behavior": {"missing_payment_method": "pause"}},
    )
    advance(2 * DAY)
    holds(v1.subscriptions.retrieve(subscription.id), status="paused")
    use_card(customer, "4000002760003184")
    v1.subscriptions.resume(subscription.id)
    waiting = v1.payment_intents.list({"customer": customer.id}).data[0]
    holds(waiting, status="requires_action")
    sim("POST", f"/challenges/{waiting.id}", {"passed": True})
    holds(v1.subscriptions.retrieve(subscription.id), status="active")


def a_discount_is_given_back_with_what_it_was_taken_off():
    customer = a_customer("4242424242424242")
    product = v1.products.create({"name": "Plan"})
    large, small = (a_price(amount, interval="month", product=product.id) for amount in (10000, 1000))
    coupon = v1.coupons.create({"percent_off": 100, "duration": "forever"})
    subscription = _subscribe(customer, large, discounts=[{"coupon": coupon.id}])
    item = plain(subscription)["items"]["data"][0]["id"]
    v1.subscriptions.update(
        subscription.id, {"items": [{"id": item, "price": small.id}], "proration_behavior": "always_invoice"}
    )
    equal(v1.customers.retrieve(customer.id).balance, 0)


def an_invoice_is_in_one_currency():
    customer = a_customer("4242424242424242")
    v1.invoice_items.create({"customer": customer.id, "amount": 700, "currency": "jpy"})
    subscription = _subscribe(customer, a_price(1000, interval="month"))
    equal(latest_invoice(subscription).total, 1000)
    draft = v1.invoices.create({"customer": customer.id, "currency": "usd"})
    with raises(InvalidRequestError, 400):
        v1.invoice_items.create({"customer": customer.id, "amount": 7, "currency": "eur", "invoice": draft.id})
