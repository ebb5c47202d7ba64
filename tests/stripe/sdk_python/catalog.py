"""Products, prices, coupons, promotion codes; customers and what is saved for them; the account."""

from stripe import InvalidRequestError

from harness import *


def products_are_made_changed_and_deleted():
    with events() as seen:
        product = v1.products.create({"name": "Tokens", "metadata": {"tokens": "100"}})
        holds(product, object="product", name="Tokens", active=True, livemode=False)
        assert product.id.startswith("prod_"), product.id
        v1.products.update(product.id, {"name": "More tokens", "active": False})
        holds(v1.products.retrieve(product.id), name="More tokens", active=False)
        equal([x.id for x in v1.products.list({"active": False}).data], [product.id])
        equal(v1.products.list({"active": True}).data, [])
        holds(v1.products.delete(product.id), id=product.id, object="product", deleted=True)
    seen.include("product.created", "product.updated", "product.deleted")
    with raises(InvalidRequestError, 404, "resource_missing"):
        v1.products.retrieve(product.id)


def a_product_with_prices_is_not_deleted():
    price = a_price()
    with raises(InvalidRequestError, 400):
        v1.products.delete(price.product)


def prices_are_made_and_retired():
    product = v1.products.create({"name": "Tokens"})
    with events() as seen:
        once = v1.prices.create({"product": product.id, "unit_amount": 1500, "currency": "usd"})
        holds(once, object="price", type="one_time", unit_amount=1500, recurring=None, active=True)
        monthly = a_price(500, interval="month", product=product.id, lookup_key="plan")
        holds(monthly, type="recurring", lookup_key="plan", product=product.id)
        holds(monthly.recurring, interval="month", interval_count=1, usage_type="licensed")
        v1.prices.update(once.id, {"active": False, "nickname": "old"})
    seen.include("price.created", "price.updated")
    holds(v1.prices.retrieve(once.id), active=False, nickname="old")
    equal([x.id for x in v1.prices.list({"lookup_keys": ["plan"]}).data], [monthly.id])
    equal([x.id for x in v1.prices.list({"product": product.id, "active": True}).data], [monthly.id])
    equal([x.id for x in v1.prices.list({"type": "one_time"}).data], [once.id])
    with raises(InvalidRequestError, 400, "parameter_unknown", "unit_amount"):
        v1.prices.update(monthly.id, {"unit_amount": 1})
    with raises(InvalidRequestError, 400, says="inactive"):
        a_session(once)


def a_lookup_key_is_given_to_one_price():
    first = a_price(lookup_key="plan")
    with raises(InvalidRequestError, 400, param="lookup_key"):
        a_price(lookup_key="plan")
    second = a_price(lookup_key="plan", transfer_lookup_key=True)
    holds(v1.prices.retrieve(first.id), lookup_key=None)
    equal([x.id for x in v1.prices.list({"lookup_keys": ["plan"]}).data], [second.id])


def coupons_and_promotion_codes_are_made_changed_and_deleted():
    with events() as seen:
        percent = v1.coupons.create({"percent_off": 25, "duration": "once", "name": "Autumn"})
        holds(percent, object="coupon", percent_off=25, duration="once", valid=True, times_redeemed=0)
        amount = v1.coupons.create({"id": "TENOFF", "amount_off": 1000, "currency": "usd"})
        holds(amount, id="TENOFF", amount_off=1000, currency="usd")
        v1.coupons.update(percent.id, {"name": "Winter"})
        holds(v1.coupons.retrieve(percent.id), name="Winter")
        promotion = {"type": "coupon", "coupon": percent.id}
        code = v1.promotion_codes.create({"promotion": promotion, "code": "SNOW"})
        holds(code, object="promotion_code", code="SNOW", active=True, times_redeemed=0)
        equal(code.promotion.coupon, percent.id)
        v1.promotion_codes.update(code.id, {"active": False})
    seen.include("coupon.created", "coupon.updated", "promotion_code.created", "promotion_code.updated")
    holds(v1.promotion_codes.retrieve(code.id), active=False)
    equal([x.id for x in v1.promotion_codes.list({"code": "SNOW"}).data], [code.id])
    assert v1.promotion_codes.create({"promotion": promotion}).code, "a code is made up"
    equal([x.id for x in v1.coupons.list().data], ["TENOFF", percent.id])
    with events() as seen:
        holds(v1.coupons.delete("TENOFF"), deleted=True)
    seen.include("coupon.deleted")
    with raises(InvalidRequestError, 404, "resource_missing"):
        v1.coupons.retrieve("TENOFF")
    with raises(InvalidRequestError, 400):
        v1.coupons.create({"duration": "once"})


def customers_are_made_changed_and_deleted():
    with events() as seen:
        customer = v1.customers.create({"email": "ada@example.com", "name": "Ada", "description": "first"})
        holds(customer, object="customer", email="ada@example.com", livemode=False, description="first")
        v1.customers.update(customer.id, {"email": "ada@example.org", "description": ""})
        holds(v1.customers.retrieve(customer.id), email="ada@example.org", description=None, name="Ada")
        holds(v1.customers.delete(customer.id), id=customer.id, object="customer", deleted=True)
    equal(seen.types, ["customer.created", "customer.updated", "customer.deleted"])
    equal(seen[1]["data"]["previous_attributes"], {"email": "ada@example.com", "description": "first"})
    holds(v1.customers.retrieve(customer.id), deleted=True)
    equal(v1.customers.list().data, [])
    with raises(InvalidRequestError, 400, "resource_missing", "customer"):
        v1.payment_intents.create({"amount": 1000, "currency": "usd", "customer": customer.id})


def a_deleted_customer_s_subscriptions_end():
    customer = a_customer("4242424242424242")
    subscription = v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": a_price(interval="month").id}]}
    )
    v1.customers.delete(customer.id)
    holds(v1.subscriptions.retrieve(subscription.id), status="canceled")


def cards_are_saved_listed_changed_and_detached():
    customer = a_customer()
    with events() as seen:
        card = v1.payment_methods.attach(a_card().id, {"customer": customer.id})
        holds(card, object="payment_method", type="card", customer=customer.id)
        holds(card.card, brand="visa", last4="4242", exp_year=2060, exp_month=12)
        v1.payment_methods.update(card.id, {"metadata": {"a": "1"}, "card": {"exp_month": 11}})
        equal(v1.payment_methods.retrieve(card.id).card.exp_month, 11)
        equal([x.id for x in v1.customers.payment_methods.list(customer.id).data], [card.id])
        equal(v1.customers.payment_methods.retrieve(customer.id, card.id).id, card.id)
        equal(
            [x.id for x in v1.payment_methods.list({"customer": customer.id, "type": "card"}).data], [card.id]
        )
        equal(v1.payment_methods.list({"customer": customer.id, "type": "sepa_debit"}).data, [])
        holds(v1.payment_methods.detach(card.id), customer=None)
    seen.include("payment_method.attached", "payment_method.updated", "payment_method.detached")
    equal(v1.customers.payment_methods.list(customer.id).data, [])
    with raises(InvalidRequestError, 400):
        v1.payment_methods.attach(card.id, {"customer": customer.id})


def a_card_of_one_customer_is_not_another_s():
    ada, ben = a_customer(), a_customer()
    card = v1.payment_methods.attach(a_card().id, {"customer": ada.id})
    with raises(InvalidRequestError, 400):
        v1.payment_methods.attach(card.id, {"customer": ben.id})
    with raises(InvalidRequestError, 400):
        intent(card=card.id, customer=ben.id)


def stripe_s_names_of_cards_and_tokens_work():
    customer = a_customer()
    equal(v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}}).card.last4, "4242")
    first = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    second = v1.payment_methods.attach("pm_card_mastercard", {"customer": customer.id})
    assert first.id.startswith("pm_") and first.id != "pm_card_visa", first.id
    equal((first.card.brand, second.card.brand), ("visa", "mastercard"))
    made = v1.customers.create(
        {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    )
    default = v1.customers.retrieve(made.id).invoice_settings.default_payment_method
    equal([x.id for x in v1.customers.payment_methods.list(made.id).data], [default])


def a_number_that_is_no_card_is_refused():
    for number, code in {"4242424242424241": "incorrect_number", "424242424242": "invalid_number"}.items():
        try:
            a_card(number)
        except stripe.CardError as error:
            equal(error.http_status, 402)
            assert error.code in ("incorrect_number", "invalid_number"), (code, error.code)
        else:
            raise AssertionError(f"{number} was taken")
    with raises(stripe.CardError, 402, "invalid_expiry_year"):
        v1.payment_methods.create(
            {"type": "card", "card": {"number": "4242424242424242", "exp_month": 1, "exp_year": 2001}}
        )


def the_portal_has_configurations_and_sessions():
    with events() as seen:
        features = {"subscription_cancel": {"enabled": True}, "invoice_history": {"enabled": True}}
        profile = {"headline": "Tokens", "privacy_policy_url": "https://example.com/privacy"}
        made = v1.billing_portal.configurations.create({"features": features, "business_profile": profile})
        holds(made, object="billing_portal.configuration", active=True)
        equal(made.features.subscription_cancel.enabled, True)
        v1.billing_portal.configurations.update(
            made.id, {"metadata": {"a": "1"}, "default_return_url": "https://example.com"}
        )
        holds(v1.billing_portal.configurations.retrieve(made.id), metadata={"a": "1"})
        assert made.id in [x.id for x in v1.billing_portal.configurations.list().data]
        customer = a_customer()
        session = v1.billing_portal.sessions.create(
            {"customer": customer.id, "configuration": made.id, "return_url": "https://example.com/back"}
        )
        flow = {"type": "payment_method_update"}
        v1.billing_portal.sessions.create({"customer": customer.id, "flow_data": flow})
    holds(session, object="billing_portal.session", customer=customer.id, return_url="https://example.com/back")
    assert session.url.startswith("http"), session.url
    with urllib.request.urlopen(session.url, timeout=10) as page:
        equal(page.status, 200)
    seen.include("billing_portal.configuration.created", "billing_portal.configuration.updated")
    seen.include("billing_portal.session.created")
    with raises(InvalidRequestError, 400, "resource_missing", "customer"):
        v1.billing_portal.sessions.create({"customer": "cus_nope"})


def webhook_endpoints_show_their_secret_once():
    url = "http://127.0.0.1:9/hook"
    made = v1.webhook_endpoints.create({"url": url, "enabled_events": ["charge.refunded"], "description": "d"})
    holds(made, object="webhook_endpoint", url=url, status="enabled", enabled_events=["charge.refunded"])
    assert made.secret.startswith("whsec_"), made.secret
    assert not plain(v1.webhook_endpoints.retrieve(made.id)).get("secret"), "the secret is shown once"
    changed = v1.webhook_endpoints.update(made.id, {"enabled_events": ["*"], "disabled": True})
    holds(changed, status="disabled", enabled_events=["*"])
    equal([x.id for x in v1.webhook_endpoints.list().data], [made.id])
    holds(v1.webhook_endpoints.delete(made.id), id=made.id, deleted=True)
    equal(v1.webhook_endpoints.list().data, [])
    with raises(InvalidRequestError, 400):
        v1.webhook_endpoints.create({"url": url, "enabled_events": ["no.such.event"]})
    with raises(InvalidRequestError, 400):
        v1.webhook_endpoints.create({"url": "not an address", "enabled_events": ["*"]})


def the_account_and_its_balance_are_told():
    account = v1.accounts.retrieve_current()
    assert account.id.startswith("acct_"), account.id
    holds(account, object="account")
    intent(2000, card="4242424242424242")
    balance = v1.balance.retrieve()
    holds(balance, object="balance", livemode=False)
    entry = v1.balance_transactions.list().data[0]
    holds(entry, object="balance_transaction", amount=2000, type="charge", currency="usd")
    equal(entry.net, entry.amount - entry.fee)
    equal(v1.balance_transactions.retrieve(entry.id).source, entry.source)
    held = [x.amount for x in [*balance.available, *balance.pending] if x.currency == "usd"]
    equal(sum(held), entry.net)
    equal([x.id for x in v1.balance_transactions.list({"type": "refund"}).data], [])
