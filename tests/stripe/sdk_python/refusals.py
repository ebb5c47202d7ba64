"""A call that is refused leaves nothing behind, and what is done is done whole, whoever hangs up."""

import urllib.error
import urllib.parse
import urllib.request

from stripe import CardError, InvalidRequestError

from harness import *

VISA = "pm_card_visa"
FAILS_LATER = "4000000000000341"


def _call(method, path, params, key=None, timeout=30, version=None):
    """What no SDK would send: (status, headers), without waiting longer than that."""
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/x-www-form-urlencoded"}
    headers |= {"idempotency-key": key} if key else {}
    headers |= {"stripe-version": version} if version else {}
    data = urllib.parse.urlencode(params).encode()
    request = urllib.request.Request(SIMULATOR + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read())


PAY = {"amount": 1000, "currency": "usd", "payment_method": VISA, "confirm": "true"}


def what_cannot_be_shown_is_not_done():
    with events() as seen:
        for _ in range(2):
            status, _, _ = _call("POST", "/v1/payment_intents", {**PAY, "expand[]": "nonsense"}, key="k1")
            equal(status, 400)
    equal(v1.charges.list().data, [])
    equal(seen.types, [])
    equal(_call("POST", "/v1/payment_intents", PAY, key="k1")[0], 200)


def whoever_hangs_up_has_paid_all_the_same():
    with fault(method="POST", path="/v1/payment_intents", when="after", answer="timeout", latency_ms=2000):
        try:
            _call("POST", "/v1/payment_intents", PAY, key="k1", timeout=0.3)
        except (TimeoutError, urllib.error.URLError):
            pass
        else:
            raise AssertionError("an answer came")
        status, headers, _ = _call("POST", "/v1/payment_intents", PAY, key="k1")
    equal((status, headers["idempotent-replayed"]), (200, "true"))
    equal(len(v1.charges.list().data), 1)


def whoever_hangs_up_while_it_is_done_leaves_no_key_in_use():
    with fault(method="POST", path="/v1/payment_intents", latency_ms=1000):
        try:
            _call("POST", "/v1/payment_intents", PAY, key="k1", timeout=0.3)
        except (TimeoutError, urllib.error.URLError):
            pass
        wait_until(lambda: v1.charges.list().data, "the payment")
    status, headers, _ = _call("POST", "/v1/payment_intents", PAY, key="k1")
    equal((status, headers["idempotent-replayed"]), (200, "true"))
    equal(len(v1.charges.list().data), 1)


def a_repeated_call_may_fail_again():
    with fault(method="POST", path="/v1/payment_intents", count=1, when="after", answer="timeout"):
        try:
            _call("POST", "/v1/payment_intents", PAY, key="k1")
        except (OSError, urllib.error.URLError):
            pass
    with fault(method="POST", path="/v1/payment_intents", count=1, answer=429):
        equal(_call("POST", "/v1/payment_intents", PAY, key="k1")[0], 429)
    status, headers, _ = _call("POST", "/v1/payment_intents", PAY, key="k1")
    equal((status, headers["idempotent-replayed"]), (200, "true"))
    equal(len(v1.charges.list().data), 1)


def a_refused_item_is_on_no_invoice():
    customer = a_customer("4242424242424242")
    invoice = v1.invoices.create({"customer": customer.id})
    v1.invoices.finalize_invoice(invoice.id)
    with raises(InvalidRequestError, 400):
        v1.invoice_items.create({"customer": customer.id, "invoice": invoice.id, "amount": 777, "currency": "usd"})
    equal(v1.invoice_items.list().data, [])


def a_refused_customer_is_not_made():
    other = a_customer("4242424242424242")
    card = v1.customers.payment_methods.list(other.id).data[0]
    with events() as seen, raises(InvalidRequestError, 400):
        v1.customers.create({"payment_method": card.id})
    equal(len(v1.customers.list().data), 1)
    equal(seen.types, [])


def a_change_that_has_to_be_paid_is_made_only_if_it_is():
    customer = a_customer("4242424242424242")
    small, large = a_price(1000, interval="month"), a_price(5000, interval="month")
    subscription = v1.subscriptions.create({"customer": customer.id, "items": [{"price": small.id}]})
    use_card(customer, FAILS_LATER)
    item = plain(subscription)["items"]["data"][0]["id"]
    before = plain(v1.subscriptions.retrieve(subscription.id))
    with events() as seen, raises(CardError, 402):
        v1.subscriptions.update(
            subscription.id,
            {
                "items": [{"id": item, "price": large.id}],
                "proration_behavior": "always_invoice",
                "payment_behavior": "error_if_incomplete",
            },
        )
    equal(plain(v1.subscriptions.retrieve(subscription.id)), before)
    equal(seen.types, [])


def a_subscription_that_has_to_be_paid_begins_only_if_it_is():
    customer = a_customer(FAILS_LATER)
    with events() as seen, raises(CardError, 402):
        v1.subscriptions.create(
            {
                "customer": customer.id,
                "items": [{"price": a_price(interval="month").id}],
                "payment_behavior": "error_if_incomplete",
            }
        )
    seen.exclude("customer.subscription.created", "invoice.created")
    equal(v1.subscriptions.list({"status": "all"}).data, [])
    equal(v1.invoices.list().data, [])


def a_preview_changes_nothing():
    customer = a_customer("4242424242424242")
    small, large = a_price(1000, interval="month"), a_price(5000, interval="month")
    subscription = v1.subscriptions.create({"customer": customer.id, "items": [{"price": small.id}]})
    item = plain(subscription)["items"]["data"][0]["id"]
    before = plain(v1.subscriptions.retrieve(subscription.id))
    with events() as seen:
        preview = v1.invoices.create_preview(
            {"subscription": subscription.id, "subscription_details": {"items": [{"id": item, "price": large.id}]}}
        )
    equal(preview.total, 5000 - 1000 + 5000)
    equal(plain(v1.subscriptions.retrieve(subscription.id)), before)
    equal(seen.types, [])


def metadata_is_whatever_it_is_named():
    named = {"object": "line_item", "pricing": "x", "_hidden": "y"}
    customer = v1.customers.create({"metadata": named})
    equal(plain(customer.metadata), named)
    form = {f"metadata[{name}]": value for name, value in named.items()}
    status, _, older = _call("POST", "/v1/customers", form, version="2024-06-20")
    equal((status, older["metadata"]), (200, named))


def numbers_that_nobody_can_mean_are_refused():
    customer, price = a_customer("4242424242424242"), a_price(interval="month")
    for params in (
        {"trial_period_days": 2**62},
        {"trial_end": 2**63 - 1},
        {"collection_method": "send_invoice", "days_until_due": 2**62},
        {"items[0][quantity]": 2**62},
        {"items[0][quantity]": -1},
    ):
        form = {"customer": customer.id, "items[0][price]": price.id, **params}
        equal(_call("POST", "/v1/subscriptions", form)[0], 400, params)
    form = {"mode": "setup", "currency": "usd", "success_url": "https://example.com", "expires_at": -(2**63)}
    equal(_call("POST", "/v1/checkout/sessions", form)[0], 400)
    equal(v1.subscriptions.list({"status": "all"}).data, [])


def an_ignored_parameter_is_named():
    _, headers, _ = _call(
        "POST",
        "/v1/customers",
        {"email": "ada@example.com", "tax[validate_location]": "deferred"},
    )
    equal(headers["sim-ignored"], "tax[validate_location]")
    _, headers, _ = _call("POST", "/v1/customers", {"email": "ada@example.com"})
    equal(headers["sim-ignored"], None)


def large_sums_are_counted_whole():
    price = a_price(99_999_999)
    coupon = v1.coupons.create({"amount_off": 9_000_000_000, "currency": "usd"})
    session = a_session(price, quantity=100, discounts=[{"coupon": coupon.id}])
    equal(session.amount_total, 99_999_999 * 100 - 9_000_000_000)


def a_changed_order_is_paid_as_it_is_now():
    line = {"price": a_price(1000).id, "quantity": 1, "adjustable_quantity": {"enabled": True, "maximum": 9}}
    session = a_session(line_items=[line])
    pay_page(session, "pm_card_threeDSecure2Required")
    first = v1.payment_intents.list().data[0]
    holds(first, status="requires_action", amount=1000)
    item = v1.checkout.sessions.line_items.list(session.id).data[0]
    change = urllib.parse.urlencode({item.id: 5}).encode()
    opener = urllib.request.build_opener(NoRedirects)
    try:
        opener.open(f"{SIMULATOR}/c/pay/{session.id}/quantity", change, timeout=10)
    except urllib.error.HTTPError as error:
        equal(error.code, 303)
    holds(v1.payment_intents.retrieve(first.id), status="canceled")
    paid = pay_page(session, VISA, expected_amount=5000)
    holds(paid, status="complete", payment_status="paid", amount_total=5000)
    equal(v1.payment_intents.retrieve(paid.payment_intent).amount_received, 5000)


def an_upgrade_that_has_to_be_paid_does_not_wait_for_the_bank():
    customer = a_customer("4242424242424242")
    small, large = a_price(1000, interval="month"), a_price(5000, interval="month")
    subscription = v1.subscriptions.create({"customer": customer.id, "items": [{"price": small.id}]})
    use_card(customer, "4000002760003184")
    item = plain(subscription)["items"]["data"][0]["id"]
    with raises(CardError, 402):
        v1.subscriptions.update(
            subscription.id,
            {
                "items": [{"id": item, "price": large.id}],
                "proration_behavior": "always_invoice",
                "payment_behavior": "error_if_incomplete",
            },
        )
    equal(v1.subscriptions.retrieve(subscription.id)["items"].data[0].price.id, small.id)
