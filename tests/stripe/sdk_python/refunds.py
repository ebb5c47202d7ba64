"""Money back: in parts, too much of it, later, and not after all."""

from stripe import InvalidRequestError

from harness import *


def _paid(amount=1000, card="4242424242424242"):
    return intent(amount, card=card)


def a_payment_is_refunded_in_full():
    paid = _paid()
    with events() as seen:
        refund = v1.refunds.create(
            {"payment_intent": paid.id, "reason": "requested_by_customer", "metadata": {"a": "1"}}
        )
    holds(refund, object="refund", amount=1000, status="succeeded", charge=paid.latest_charge)
    holds(refund, payment_intent=paid.id, reason="requested_by_customer", metadata={"a": "1"})
    holds(v1.charges.retrieve(paid.latest_charge), refunded=True, amount_refunded=1000)
    holds(v1.payment_intents.retrieve(paid.id), status="succeeded")
    seen.include("refund.created", "charge.refunded")
    holds(seen.only("charge.refunded"), amount_refunded=1000, refunded=True)
    entry = v1.balance_transactions.retrieve(refund.balance_transaction)
    holds(entry, amount=-1000, type="refund", source=refund.id)
    with raises(InvalidRequestError, 400, "charge_already_refunded"):
        v1.refunds.create({"charge": paid.latest_charge})


def several_partial_refunds_add_up():
    paid = _paid()
    with events() as seen:
        for amount, total in ((300, 300), (200, 500), (500, 1000)):
            v1.refunds.create({"charge": paid.latest_charge, "amount": amount})
            charge = v1.charges.retrieve(paid.latest_charge)
            holds(charge, amount=1000, amount_refunded=total, refunded=total == 1000)
    told = [(charge["amount_refunded"], charge["refunded"]) for charge in seen.of("charge.refunded")]
    equal(told, [(300, False), (500, False), (1000, True)])
    before = [
        e["data"]["previous_attributes"]["amount_refunded"] for e in seen if e["type"] == "charge.refunded"
    ]
    equal(before, [0, 300, 500])


def more_than_is_left_is_not_refunded():
    paid = _paid()
    v1.refunds.create({"charge": paid.latest_charge, "amount": 600})
    with raises(InvalidRequestError, 400, param="amount", says="greater than"):
        v1.refunds.create({"charge": paid.latest_charge, "amount": 401})
    holds(v1.charges.retrieve(paid.latest_charge), amount_refunded=600, refunded=False)
    holds(v1.refunds.create({"charge": paid.latest_charge}), amount=400)


def what_was_not_paid_is_not_refunded():
    with raises(InvalidRequestError, 400):
        v1.refunds.create({"payment_intent": intent().id})
    with raises(InvalidRequestError, 400):
        v1.refunds.create({})
    with raises(InvalidRequestError, param="charge", code="resource_missing"):
        v1.refunds.create({"charge": "ch_nope"})


def refunds_are_listed_and_annotated():
    first, second = _paid(), _paid()
    refunds = [v1.refunds.create({"payment_intent": paid.id, "amount": 100}) for paid in (first, first, second)]
    equal([x.id for x in v1.refunds.list().data], [x.id for x in refunds[::-1]])
    equal([x.id for x in v1.refunds.list({"payment_intent": first.id}).data], [refunds[1].id, refunds[0].id])
    equal([x.id for x in v1.refunds.list({"charge": second.latest_charge}).data], [refunds[2].id])
    with events() as seen:
        v1.refunds.update(refunds[0].id, {"metadata": {"a": "1"}})
    holds(v1.refunds.retrieve(refunds[0].id), metadata={"a": "1"})
    seen.include("refund.updated")


def a_refund_succeeds_later():
    paid = _paid(card="4000000000007726")
    refund = v1.refunds.create({"payment_intent": paid.id})
    holds(refund, status="pending")
    with events() as seen:
        advance(10 * DAY)
    holds(v1.refunds.retrieve(refund.id), status="succeeded")
    seen.include("refund.updated")
    seen.exclude("refund.failed")


def a_refund_fails_later():
    paid = _paid(card="4000000000005126")
    refund = v1.refunds.create({"payment_intent": paid.id})
    holds(refund, status="succeeded")
    with events() as seen:
        advance(10 * DAY)
    failed = v1.refunds.retrieve(refund.id)
    holds(failed, status="failed")
    assert failed.failure_reason and failed.failure_balance_transaction, plain(failed)
    holds(seen.only("refund.failed"), id=refund.id, status="failed", amount=1000)


def a_refund_is_settled_by_hand():
    paid = _paid(card="4000000000007726")
    refund = v1.refunds.create({"payment_intent": paid.id, "amount": 400})
    with events() as seen:
        sim("POST", f"/refunds/{refund.id}", {"status": "failed"})
    holds(v1.refunds.retrieve(refund.id), status="failed")
    seen.include("refund.failed")


def a_refunded_subscription_s_invoice_stays_paid():
    customer = a_customer("4242424242424242")
    subscription = v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": a_price(interval="month").id}]}
    )
    invoice = latest_invoice(subscription)
    payments = v1.invoice_payments.list({"invoice": invoice.id}).data
    v1.refunds.create({"payment_intent": payments[0].payment.payment_intent})
    holds(v1.invoices.retrieve(invoice.id), status="paid", amount_paid=1000)
