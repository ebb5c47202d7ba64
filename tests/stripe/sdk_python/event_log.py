"""The events that are kept, how they are listed, and how older versions of the API saw them."""

from stripe import InvalidRequestError

from harness import *


def an_event_says_what_happened():
    customer = v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    event = v1.events.list({"limit": 1}).data[0]
    holds(event, object="event", type="customer.created", livemode=False, pending_webhooks=0)
    assert event.id.startswith("evt_"), event.id
    equal(plain(event.data.object), plain(customer))
    equal(event.request.idempotency_key, "k1")
    equal(event.request.id, customer.last_response.headers["request-id"])
    assert "previous_attributes" not in plain(event.data) or not plain(event.data)["previous_attributes"]
    equal(plain(v1.events.retrieve(event.id)), plain(event))


def an_event_keeps_what_was_true_then():
    customer = v1.customers.create({"name": "Ada"})
    v1.customers.update(customer.id, {"name": "Ben"})
    updated, created = v1.events.list().data
    equal((created.data.object.name, updated.data.object.name), ("Ada", "Ben"))
    equal(plain(updated.data.previous_attributes), {"name": "Ada"})


def what_time_does_was_requested_by_nobody():
    session = a_session()
    advance(25 * HOUR)
    event = v1.events.list({"type": "checkout.session.expired"}).data[0]
    equal((event.data.object.id, event.request.id, event.request.idempotency_key), (session.id, None, None))


def events_are_listed_by_type_and_time():
    v1.customers.create({})
    v1.products.create({"name": "Tokens"})
    later = now() + HOUR
    advance_to(later)
    intent(card="4242424242424242")
    equal([x.type for x in v1.events.list({"type": "customer.created"}).data], ["customer.created"])
    types = ["product.created", "payment_intent.succeeded"]
    equal([x.type for x in v1.events.list({"types": types}).data], types[::-1])
    found = {x.type for x in v1.events.list({"type": "payment_intent.*"}).data}
    equal(found, {"payment_intent.created", "payment_intent.succeeded"})
    assert all(x.created >= later for x in v1.events.list({"created": {"gte": later}}).data)
    equal(
        [x.type for x in v1.events.list({"created": {"lt": later}}).data],
        ["product.created", "customer.created"],
    )
    with raises(InvalidRequestError, 400):
        v1.events.list({"types": types, "type": "customer.created"})


def events_are_caught_up_with_from_the_last_one_seen():
    v1.customers.create({"name": "seen"})
    last_seen = v1.events.list({"limit": 1}).data[0].id
    names = [f"number {n}" for n in range(7)]
    for name in names:
        v1.customers.create({"name": name})
    page = v1.events.list({"ending_before": last_seen, "limit": 3, "types": ["customer.created"]})
    equal([x.data.object.name for x in page.auto_paging_iter()], names)


def events_go_after_thirty_days():
    v1.customers.create({"name": "old"})
    old = v1.events.list({"limit": 1}).data[0].id
    advance(29 * DAY)
    equal([x.id for x in v1.events.list().data], [old])
    advance(2 * DAY)
    equal(v1.events.list().data, [])


def what_was_not_delivered_is_found():
    v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/refuses", "enabled_events": ["product.created"]})
    v1.products.create({"name": "Tokens"})
    v1.customers.create({})
    sim("POST", "/settle", {"timeout_ms": 5000})
    missed = v1.events.list({"delivery_success": False}).data
    equal([(x.type, x.pending_webhooks) for x in missed], [("product.created", 1)])
    equal([x.type for x in v1.events.list({"delivery_success": True}).data], ["customer.created"])


def _delivered(version, act, kind):
    """The event of that type, as an endpoint of that version gets it."""
    with receiver() as (url, came):
        params = {"url": url, "enabled_events": [kind]}
        endpoint = v1.webhook_endpoints.create({**params, "api_version": version} if version else params)
        if version:
            holds(endpoint, api_version=version)
        act()
        event = wait_until(lambda: came and came[0], f"{kind} of {version}")
        v1.webhook_endpoints.delete(endpoint.id)
    if version:
        equal(event["api_version"], version)
    return event["data"]["object"]


def _subscribe(**more):
    price = a_price(1000, interval="month")
    subscription = {}

    def act():
        customer = a_customer("4242424242424242", metadata=more.pop("customer_metadata", {}))
        params = {"customer": customer.id, "items": [{"price": price.id}], "metadata": {"plan": "pro"}, **more}
        subscription.update(plain(v1.subscriptions.create(params)))

    return price, subscription, act


OLDER = ("2024-06-20", "2025-02-24.acacia")


def an_older_endpoint_gets_an_older_invoice():
    for version in OLDER:
        price, subscription, act = _subscribe()
        invoice = _delivered(version, act, "invoice.paid")
        equal((invoice["subscription"], invoice["paid"], invoice["status"]), (subscription["id"], True, "paid"))
        equal(invoice["subscription_details"]["metadata"], {"plan": "pro"})
        payment = v1.invoice_payments.list({"invoice": invoice["id"]}).data[0].payment.payment_intent
        equal(invoice["payment_intent"], payment)
        equal(invoice["charge"], v1.payment_intents.retrieve(payment).latest_charge)
        assert "parent" not in invoice, "parent came later"
        line = invoice["lines"]["data"][0]
        item = subscription["items"]["data"][0]
        equal((line["type"], line["proration"]), ("subscription", False))
        equal((line["subscription"], line["subscription_item"]), (subscription["id"], item["id"]))
        equal((line["price"]["id"], line["plan"]["id"]), (price.id, price.id))
        equal(
            (line["period"]["start"], line["period"]["end"]),
            (item["current_period_start"], item["current_period_end"]),
        )
        assert "parent" not in line and "pricing" not in line, "these came later"


def an_older_endpoint_gets_an_older_subscription():
    for version in OLDER:
        price, subscription, act = _subscribe()
        got = _delivered(version, act, "customer.subscription.created")
        item = subscription["items"]["data"][0]
        equal(got["current_period_start"], item["current_period_start"])
        equal(got["current_period_end"], item["current_period_end"])
        equal(got["items"]["data"][0]["price"]["id"], price.id)


def an_older_endpoint_gets_an_older_discount():
    for version in OLDER:
        coupon = v1.coupons.create({"percent_off": 25, "duration": "forever"})
        _, _, act = _subscribe(discounts=[{"coupon": coupon.id}])
        discount = _delivered(version, act, "customer.subscription.created")["discount"]
        equal((discount["object"], discount["coupon"]["id"]), ("discount", coupon.id))
        assert "source" not in discount, "source came later"


def an_older_endpoint_gets_an_older_promotion_code():
    for version in OLDER:
        coupon = v1.coupons.create({"percent_off": 25, "duration": "forever"})
        promotion = {"type": "coupon", "coupon": coupon.id}
        got = _delivered(
            version, lambda: v1.promotion_codes.create({"promotion": promotion}), "promotion_code.created"
        )
        equal(got["coupon"]["id"], coupon.id)
        assert "promotion" not in got, "promotion came later"


def a_present_endpoint_gets_the_present_shapes():
    price, subscription, act = _subscribe()
    invoice = _delivered(None, act, "invoice.paid")
    equal(invoice["parent"]["subscription_details"]["subscription"], subscription["id"])
    equal(invoice["lines"]["data"][0]["pricing"]["price_details"]["price"], price.id)
    assert "subscription" not in invoice and "payment_intent" not in invoice


def each_endpoint_gets_its_own_version():
    _, subscription, act = _subscribe()
    with receiver() as (old_url, old), receiver() as (new_url, new):
        kinds = ["invoice.paid"]
        v1.webhook_endpoints.create({"url": old_url, "enabled_events": kinds, "api_version": OLDER[0]})
        v1.webhook_endpoints.create({"url": new_url, "enabled_events": kinds})
        act()
        wait_until(lambda: old and new, "both deliveries")
    equal(old[0]["id"], new[0]["id"])
    equal(old[0]["data"]["object"]["subscription"], subscription["id"])
    assert "parent" in new[0]["data"]["object"]


def the_weather_may_change_version_and_mode():
    _, subscription, act = _subscribe()
    with receiver() as (url, came):
        v1.webhook_endpoints.create({"url": url, "enabled_events": ["invoice.paid"]})
        sim("POST", "/weather", {"api_version": OLDER[0], "livemode": True})
        act()
        wait_until(lambda: came, "a delivery")
        sim("DELETE", "/weather")
    equal((came[0]["api_version"], came[0]["livemode"]), (OLDER[0], True))
    equal(came[0]["data"]["object"]["subscription"], subscription["id"])
