"""Checkout sessions: paid, declined, settled later, expired; for payments, subscriptions and set-ups."""

from stripe import CardError, InvalidRequestError

from harness import *


def _sepa_session(**more):
    return a_session(a_price(1500, "eur"), 2, payment_method_types=["sepa_debit"], **more)


def a_session_is_made_open_and_unpaid():
    session = a_session(
        a_price(1500),
        2,
        client_reference_id="user-1",
        customer_email="ada@example.com",
        cancel_url="https://example.com/cart",
        metadata={"order": "1"},
    )
    holds(session, object="checkout.session", mode="payment", status="open", payment_status="unpaid")
    holds(session, amount_subtotal=3000, amount_total=3000, currency="usd", client_reference_id="user-1")
    holds(session, customer_email="ada@example.com", cancel_url="https://example.com/cart", livemode=False)
    holds(session, metadata={"order": "1"}, payment_intent=None, subscription=None, customer=None)
    equal(session.success_url, "https://example.com/done?s={CHECKOUT_SESSION_ID}")
    assert session.id.startswith("cs_test_"), session.id
    equal(session.expires_at, session.created + DAY)
    with urllib.request.urlopen(session.url, timeout=10) as page:
        equal(page.status, 200)


def a_session_is_paid():
    price = a_price(1500)
    session = a_session(
        price,
        2,
        customer_email="ada@example.com",
        metadata={"order": "1"},
        payment_intent_data={"metadata": {"purchase": "1"}},
    )
    with events() as seen:
        paid = pay_page(session, a_card().id, 3000)
    holds(paid, status="complete", payment_status="paid", url=None, metadata={"order": "1"})
    equal(paid.customer_details.email, "ada@example.com")
    payment = v1.payment_intents.retrieve(paid.payment_intent)
    holds(payment, status="succeeded", amount=3000, metadata={"purchase": "1"})
    holds(v1.charges.retrieve(payment.latest_charge), paid=True, metadata={"purchase": "1"})
    seen.include("payment_intent.created", "charge.succeeded", "payment_intent.succeeded")
    holds(seen.only("checkout.session.completed"), id=session.id, payment_status="paid")
    equal([x.id for x in v1.checkout.sessions.list({"payment_intent": payment.id}).data], [session.id])
    with raises(InvalidRequestError, 400):
        v1.checkout.sessions.expire(session.id)


def what_was_bought_is_listed():
    price, other = a_price(1500), a_price(100)
    session = a_session(line_items=[{"price": price.id, "quantity": 2}, {"price": other.id, "quantity": 5}])
    items = v1.checkout.sessions.line_items.list(session.id)
    holds(items, object="list", has_more=False, url=f"/v1/checkout/sessions/{session.id}/line_items")
    bought = [(x.price.id, x.quantity, x.amount_subtotal, x.amount_total, x.currency) for x in items.data]
    equal(sorted(bought), sorted([(price.id, 2, 3000, 3000, "usd"), (other.id, 5, 500, 500, "usd")]))
    equal(len(v1.checkout.sessions.line_items.list(session.id, {"limit": 1}).data), 1)


def a_price_may_be_made_on_the_spot():
    data = {"currency": "usd", "unit_amount": 700, "product_data": {"name": "Tokens"}}
    session = a_session(line_items=[{"price_data": data, "quantity": 3}])
    holds(session, amount_total=2100)
    equal(v1.checkout.sessions.line_items.list(session.id).data[0].description, "Tokens")


def a_declined_card_leaves_the_session_open():
    session = a_session(a_price(1500))
    with events() as seen, raises(CardError, 402, "card_declined"):
        pay_page(session, a_card("4000000000000002").id, 1500)
    holds(v1.checkout.sessions.retrieve(session.id), status="open", payment_status="unpaid")
    seen.include("payment_intent.payment_failed", "charge.failed")
    seen.exclude("checkout.session.completed")
    holds(pay_page(session, a_card().id, 1500), status="complete", payment_status="paid")
    equal(len(v1.payment_intents.list().data), 1)


def a_session_is_paid_once():
    session = a_session(a_price(1500))
    pay_page(session, a_card().id, 1500)
    try:
        pay_page(session, a_card().id, 1500)
    except stripe.StripeError as error:
        equal(error.http_status, 400)
    equal(len(v1.payment_intents.list().data), 1)


def a_bank_debit_completes_unpaid_and_succeeds_later():
    session = _sepa_session(payment_intent_data={"metadata": {"purchase": "1"}})
    with events() as seen:
        waiting = pay_page(session, an_iban("AT611904300234573201").id, 3000)
    holds(waiting, status="complete", payment_status="unpaid")
    holds(v1.payment_intents.retrieve(waiting.payment_intent), status="processing", metadata={"purchase": "1"})
    holds(seen.only("checkout.session.completed"), payment_status="unpaid")
    seen.exclude("payment_intent.succeeded", "checkout.session.async_payment_succeeded")
    with events() as seen:
        advance(25 * HOUR)
    holds(v1.checkout.sessions.retrieve(session.id), status="complete", payment_status="paid")
    holds(v1.payment_intents.retrieve(waiting.payment_intent), status="succeeded")
    seen.include("payment_intent.succeeded", "charge.succeeded")
    seen.exclude("checkout.session.completed", "checkout.session.expired")
    holds(seen.only("checkout.session.async_payment_succeeded"), id=session.id, payment_status="paid")


def a_bank_debit_completes_unpaid_and_fails_later():
    session = _sepa_session()
    waiting = pay_page(session, an_iban("IT60X0542811101000000123456").id, 3000)
    holds(waiting, status="complete", payment_status="unpaid")
    with events() as seen:
        advance(25 * HOUR)
    holds(v1.checkout.sessions.retrieve(session.id), status="complete", payment_status="unpaid")
    holds(v1.payment_intents.retrieve(waiting.payment_intent), status="requires_payment_method")
    seen.include("payment_intent.payment_failed", "charge.failed")
    seen.exclude("payment_intent.succeeded", "checkout.session.async_payment_succeeded")
    holds(seen.only("checkout.session.async_payment_failed"), id=session.id, payment_status="unpaid")


def a_session_expires_after_a_day():
    session = a_session()
    advance(23 * HOUR)
    holds(v1.checkout.sessions.retrieve(session.id), status="open")
    with events() as seen:
        advance(2 * HOUR)
    holds(v1.checkout.sessions.retrieve(session.id), status="expired", payment_status="unpaid", url=None)
    holds(seen.only("checkout.session.expired"), id=session.id, status="expired")
    with raises(InvalidRequestError, 400):
        v1.checkout.sessions.expire(session.id)


def a_session_expires_when_it_says():
    session = a_session(expires_at=now() + 30 * MINUTE)
    advance(31 * MINUTE)
    holds(v1.checkout.sessions.retrieve(session.id), status="expired")
    for wrong in (10 * MINUTE, 25 * HOUR):
        with raises(InvalidRequestError, 400, param="expires_at"):
            a_session(expires_at=now() + wrong)


def a_session_is_expired_once():
    session = a_session()
    with events() as seen:
        holds(v1.checkout.sessions.expire(session.id), status="expired")
        with raises(InvalidRequestError, 400):
            v1.checkout.sessions.expire(session.id)
    equal(seen.types, ["checkout.session.expired"])
    try:
        pay_page(session, a_card().id, 1000)
    except stripe.StripeError as error:
        equal(error.http_status, 400)
    holds(v1.checkout.sessions.retrieve(session.id), status="expired", payment_status="unpaid")


def a_completed_session_does_not_expire():
    session = a_session(a_price(1500))
    pay_page(session, a_card().id, 1500)
    with events() as seen:
        advance(2 * DAY)
    seen.exclude("checkout.session.expired")


def price_and_mode_must_match():
    with raises(InvalidRequestError, 400, says="recurring price"):
        a_session(a_price(interval="month"))
    with raises(InvalidRequestError, 400, says="recurring price"):
        a_session(a_price(), mode="subscription")
    with raises(InvalidRequestError, 400):
        a_session(
            line_items=[
                {"price": a_price().id, "quantity": 1},
                {"price": a_price(currency="eur").id, "quantity": 1},
            ]
        )
    with raises(InvalidRequestError, 400, "resource_missing", "line_items[0][price]", "No such price"):
        a_session(line_items=[{"price": "price_nope", "quantity": 1}])


def a_session_needs_what_its_mode_needs():
    with raises(InvalidRequestError, 400):
        v1.checkout.sessions.create({"mode": "payment", "success_url": "https://example.com"})
    with raises(InvalidRequestError, 400):
        v1.checkout.sessions.create({"mode": "payment", "line_items": [{"price": a_price().id, "quantity": 1}]})
    with raises(InvalidRequestError, 400):
        a_session(client_reference_id="r" * 201)
    with raises(InvalidRequestError, 400):
        a_session(customer=a_customer().id, customer_email="ada@example.com")


def sessions_are_listed_by_what_became_of_them():
    opened, gone, paid = (a_session(a_price(1500)) for _ in range(3))
    v1.checkout.sessions.expire(gone.id)
    pay_page(paid, a_card().id, 1500)
    for status, session in {"open": opened, "expired": gone, "complete": paid}.items():
        equal([x.id for x in v1.checkout.sessions.list({"status": status}).data], [session.id], status)
    equal([x.id for x in v1.checkout.sessions.list().data], [paid.id, gone.id, opened.id])
    advance(HOUR)
    later = a_session()
    equal([x.id for x in v1.checkout.sessions.list({"created": {"gte": later.created}}).data], [later.id])


def a_session_s_metadata_is_changed():
    session = a_session(metadata={"a": "1"})
    holds(v1.checkout.sessions.update(session.id, {"metadata": {"b": "2"}}), metadata={"a": "1", "b": "2"})


def a_known_customer_pays_and_an_unknown_one_is_made_if_asked():
    customer = a_customer()
    known = a_session(
        a_price(1500), customer=customer.id, payment_intent_data={"setup_future_usage": "off_session"}
    )
    known = pay_page(known, a_card().id, 1500)
    holds(known, customer=customer.id)
    holds(v1.payment_intents.retrieve(known.payment_intent), customer=customer.id)
    equal(len(v1.customers.payment_methods.list(customer.id).data), 1)
    equal([x.id for x in v1.checkout.sessions.list({"customer": customer.id}).data], [known.id])
    made = a_session(a_price(1500), customer_creation="always", customer_email="new@example.com")
    made = pay_page(made, a_card().id, 1500)
    equal(v1.customers.retrieve(made.customer).email, "new@example.com")


def a_session_sells_a_subscription():
    price = a_price(1500, interval="month")
    session = a_session(
        price, mode="subscription", metadata={"order": "1"}, subscription_data={"metadata": {"plan": "pro"}}
    )
    holds(session, amount_total=1500, payment_status="unpaid", subscription=None)
    with events() as seen:
        paid = pay_page(session, a_card().id, 1500)
    holds(paid, status="complete", payment_status="paid", mode="subscription")
    subscription = v1.subscriptions.retrieve(paid.subscription)
    holds(subscription, status="active", customer=paid.customer, metadata={"plan": "pro"})
    invoice = v1.invoices.retrieve(paid.invoice)
    holds(invoice, status="paid", billing_reason="subscription_create", amount_paid=1500)
    equal(invoice.parent.subscription_details.metadata["plan"], "pro")
    seen.include("customer.created", "customer.subscription.created", "invoice.created", "invoice.paid")
    seen.include("invoice.payment_succeeded", "payment_intent.succeeded", "checkout.session.completed")
    equal([x.id for x in v1.checkout.sessions.list({"subscription": subscription.id}).data], [session.id])
    advance_to(after_months(subscription.start_date, 1) + 2 * HOUR)
    holds(latest_invoice(subscription), status="paid", billing_reason="subscription_cycle")


def a_session_starts_a_trial():
    session = a_session(
        a_price(1500, interval="month"), mode="subscription", subscription_data={"trial_period_days": 7}
    )
    holds(session, amount_total=0)
    done = pay_page(session, a_card().id, 0)
    holds(done, status="complete", payment_status="no_payment_required")
    holds(v1.subscriptions.retrieve(done.subscription), status="trialing")


def a_session_saves_a_card():
    customer = a_customer()
    session = a_session(
        mode="setup", customer=customer.id, currency="usd", setup_intent_data={"metadata": {"a": "1"}}
    )
    holds(session, mode="setup", amount_total=None, payment_status="no_payment_required", payment_intent=None)
    with events() as seen:
        done = pay_page(session, a_card().id)
    holds(done, status="complete", payment_status="no_payment_required")
    setup = v1.setup_intents.retrieve(done.setup_intent)
    holds(setup, status="succeeded", customer=customer.id, metadata={"a": "1"})
    holds(v1.payment_methods.retrieve(setup.payment_method), customer=customer.id)
    seen.include("setup_intent.succeeded", "checkout.session.completed")
    seen.exclude("payment_intent.succeeded", "charge.succeeded")
