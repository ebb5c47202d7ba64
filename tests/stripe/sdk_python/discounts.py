"""What coupons and promotion codes take off: at checkout, and from a subscription's invoices."""

from stripe import InvalidRequestError

from harness import *


def _code(code="SNOW", **coupon):
    coupon = v1.coupons.create({"duration": "once", **coupon})
    return v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": code})


def a_coupon_lowers_the_total():
    coupon = v1.coupons.create({"percent_off": 25, "duration": "once"})
    session = a_session(a_price(1500), 2, discounts=[{"coupon": coupon.id}])
    holds(session, amount_subtotal=3000, amount_total=2250)
    equal(session.total_details.amount_discount, 750)
    item = v1.checkout.sessions.line_items.list(session.id).data[0]
    holds(item, amount_subtotal=3000, amount_total=2250, amount_discount=750)
    paid = pay_page(session, a_card().id, 2250)
    holds(v1.payment_intents.retrieve(paid.payment_intent), amount=2250, amount_received=2250)


def a_promotion_code_is_redeemed():
    code = _code(amount_off=1000, currency="usd")
    session = a_session(a_price(1500), discounts=[{"promotion_code": code.id}])
    holds(session, amount_subtotal=1500, amount_total=500)
    equal([x.promotion_code for x in session.discounts], [code.id])
    pay_page(session, a_card().id, 500)
    holds(v1.promotion_codes.retrieve(code.id), times_redeemed=1)
    equal(v1.coupons.retrieve(code.promotion.coupon).times_redeemed, 1)


def what_is_free_needs_no_payment():
    code = _code(percent_off=100)
    session = a_session(a_price(1500), discounts=[{"promotion_code": code.id}])
    holds(session, amount_subtotal=1500, amount_total=0)
    with events() as seen:
        done = pay_page(session, None, 0)
    holds(done, status="complete", payment_status="no_payment_required", payment_intent=None)
    holds(seen.only("checkout.session.completed"), payment_status="no_payment_required")
    seen.exclude("charge.succeeded", "payment_intent.succeeded", "payment_intent.created")


def a_price_of_nothing_needs_no_payment():
    done = pay_page(a_session(a_price(0)), None, 0)
    holds(done, status="complete", payment_status="no_payment_required", amount_total=0)


def a_discount_never_goes_below_nothing():
    holds(
        a_session(a_price(500), discounts=[{"promotion_code": _code(amount_off=1000, currency="usd").id}]),
        amount_total=0,
    )


def discounts_and_codes_of_the_buyer_exclude_each_other():
    coupon = v1.coupons.create({"percent_off": 25, "duration": "once"})
    with raises(InvalidRequestError, 400):
        a_session(discounts=[{"coupon": coupon.id}], allow_promotion_codes=True)
    holds(a_session(allow_promotion_codes=True), allow_promotion_codes=True)


def a_code_that_is_off_or_used_up_is_refused():
    coupon = v1.coupons.create({"percent_off": 25, "duration": "once"})
    promotion = {"type": "coupon", "coupon": coupon.id}
    off = v1.promotion_codes.create({"promotion": promotion})
    v1.promotion_codes.update(off.id, {"active": False})
    once = v1.promotion_codes.create({"promotion": promotion, "max_redemptions": 1})
    pay_page(a_session(a_price(1000), discounts=[{"promotion_code": once.id}]), a_card().id, 750)
    ended = v1.promotion_codes.create({"promotion": promotion, "expires_at": now() + HOUR})
    advance(2 * HOUR)
    for code in (off, once, ended):
        with raises(InvalidRequestError, 400):
            a_session(discounts=[{"promotion_code": code.id}])


def a_code_belongs_to_one_promotion_at_a_time():
    first = _code("SNOW", percent_off=10)
    with raises(InvalidRequestError, 400):
        _code("SNOW", percent_off=20)
    v1.promotion_codes.update(first.id, {"active": False})
    _code("SNOW", percent_off=20)


def a_coupon_lowers_as_many_invoices_as_it_says():
    customer = a_customer("4242424242424242")
    for duration, totals in {
        ("once", None): [750, 1000, 1000, 1000],
        ("repeating", 2): [750, 750, 1000, 1000],
        ("forever", None): [750, 750, 750, 750],
    }.items():
        params = {"percent_off": 25, "duration": duration[0]}
        if duration[1]:
            params["duration_in_months"] = duration[1]
        coupon = v1.coupons.create(params)
        price = a_price(1000, interval="month")
        subscription = v1.subscriptions.create(
            {
                "customer": customer.id,
                "items": [{"price": price.id}],
                "discounts": [{"coupon": coupon.id}],
                "expand": ["discounts"],
            }
        )
        equal([x.source.coupon for x in subscription.discounts], [coupon.id])
        paid = [latest_invoice(subscription)]
        for month in (1, 2, 3):
            advance_to(after_months(subscription.start_date, month) + 2 * HOUR)
            paid.append(latest_invoice(subscription))
        equal([invoice.total for invoice in paid], totals, str(duration))
        equal([invoice.subtotal for invoice in paid], [1000] * 4)
        equal([x.amount for x in paid[0].total_discount_amounts], [250])
        v1.subscriptions.cancel(subscription.id)


def a_subscription_for_nothing_is_paid_at_once():
    customer = a_customer()
    coupon = v1.coupons.create({"percent_off": 100, "duration": "forever"})
    subscription = v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": a_price(1000, interval="month").id}],
            "discounts": [{"coupon": coupon.id}],
        }
    )
    holds(subscription, status="active")
    holds(latest_invoice(subscription), status="paid", total=0, amount_due=0, amount_paid=0)


def a_coupon_that_was_deleted_may_be_made_again():
    v1.coupons.create({"id": "SPRING", "percent_off": 20})
    with raises(InvalidRequestError, 400, "resource_already_exists"):
        v1.coupons.create({"id": "SPRING", "percent_off": 30})
    v1.coupons.delete("SPRING")
    equal(v1.coupons.create({"id": "SPRING", "percent_off": 30}).percent_off, 30)
    equal([coupon.id for coupon in v1.coupons.list().data], ["SPRING"])
