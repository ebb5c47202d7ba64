"""The life of PaymentIntents, SetupIntents and charges beside what the card decides."""

from stripe import CardError, InvalidRequestError

from harness import *


def a_payment_is_made_step_by_step():
    with events() as seen:
        payment = intent(1000, description="tokens")
        holds(payment, object="payment_intent", status="requires_payment_method", latest_charge=None)
        payment = v1.payment_intents.update(payment.id, {"amount": 2000, "metadata": {"a": "1"}})
        holds(payment, amount=2000, metadata={"a": "1"}, description="tokens")
        payment = v1.payment_intents.update(payment.id, {"payment_method": a_card().id})
        holds(payment, status="requires_confirmation")
        holds(v1.payment_intents.confirm(payment.id), status="succeeded", amount_received=2000)
    seen.include("payment_intent.created", "charge.succeeded", "payment_intent.succeeded")
    for again in (v1.payment_intents.confirm, v1.payment_intents.cancel, v1.payment_intents.capture):
        with raises(InvalidRequestError, 400, "payment_intent_unexpected_state") as refused:
            again(payment.id)
        equal(refused.error.error.payment_intent.status, "succeeded")


def a_payment_without_a_card_is_not_confirmed():
    with raises(InvalidRequestError, 400):
        v1.payment_intents.confirm(intent().id)


def a_payment_is_cancelled():
    payment = intent()
    with events() as seen:
        gone = v1.payment_intents.cancel(payment.id, {"cancellation_reason": "abandoned"})
    holds(gone, status="canceled", cancellation_reason="abandoned", canceled_at=now())
    seen.include("payment_intent.canceled")
    with raises(InvalidRequestError, 400, "payment_intent_unexpected_state"):
        v1.payment_intents.confirm(payment.id, {"payment_method": a_card().id})


def a_payment_is_held_and_captured():
    with events() as seen:
        held = intent(1000, card="4242424242424242", capture_method="manual")
        holds(held, status="requires_capture", amount_capturable=1000, amount_received=0)
        holds(v1.charges.retrieve(held.latest_charge), captured=False, paid=True, amount_captured=0)
        paid = v1.payment_intents.capture(held.id)
        holds(paid, status="succeeded", amount_capturable=0, amount_received=1000)
    seen.include("payment_intent.amount_capturable_updated", "charge.captured", "payment_intent.succeeded")
    holds(v1.charges.retrieve(held.latest_charge), captured=True, amount_captured=1000)


def a_part_of_what_is_held_is_captured():
    held = intent(1000, card="4242424242424242", capture_method="manual")
    with raises(InvalidRequestError, 400):
        v1.payment_intents.capture(held.id, {"amount_to_capture": 1001})
    paid = v1.payment_intents.capture(held.id, {"amount_to_capture": 600})
    holds(paid, status="succeeded", amount=1000, amount_received=600, amount_capturable=0)
    holds(v1.charges.retrieve(held.latest_charge), amount=1000, amount_captured=600, captured=True)
    with raises(InvalidRequestError, 400):
        v1.refunds.create({"payment_intent": held.id, "amount": 601})
    holds(v1.refunds.create({"payment_intent": held.id}), amount=600)


def what_is_held_is_let_go():
    held = intent(1000, card="4242424242424242", capture_method="manual")
    holds(v1.payment_intents.cancel(held.id), status="canceled", amount_capturable=0)
    with raises(InvalidRequestError, 400, "payment_intent_unexpected_state"):
        v1.payment_intents.capture(held.id)


def payments_are_listed_newest_first():
    ids = [intent().id for _ in range(3)][::-1]
    equal([x.id for x in v1.payment_intents.list().data], ids)


def charges_are_listed_and_annotated():
    paid = intent(card="4242424242424242")
    with events() as seen:
        v1.charges.update(paid.latest_charge, {"metadata": {"a": "1"}, "description": "d"})
    holds(v1.charges.list().data[0], id=paid.latest_charge, metadata={"a": "1"}, description="d")
    seen.include("charge.updated")
    with urllib.request.urlopen(v1.charges.retrieve(paid.latest_charge).receipt_url, timeout=10) as receipt:
        equal(receipt.status, 200)


def a_bank_debit_settles_later():
    for iban, status, last in (
        ("AT611904300234573201", "succeeded", "payment_intent.succeeded"),
        ("IT60X0542811101000000123456", "requires_payment_method", "payment_intent.payment_failed"),
    ):
        with events() as seen:
            payment = intent(
                3000,
                card=an_iban(iban).id,
                currency="eur",
                payment_method_types=["sepa_debit"],
                mandate_data={"customer_acceptance": {"type": "offline"}},
            )
            holds(payment, status="processing", amount_received=0)
            holds(v1.charges.retrieve(payment.latest_charge), status="pending", paid=False)
        seen.include("payment_intent.processing", "charge.pending")
        seen.exclude("payment_intent.succeeded", "charge.succeeded")
        with events() as seen:
            advance(25 * HOUR)
        holds(v1.payment_intents.retrieve(payment.id), status=status)
        seen.include(last)


def a_card_is_set_up():
    customer = a_customer()
    with events() as seen:
        setup = v1.setup_intents.create({"customer": customer.id, "payment_method_types": ["card"]})
        holds(setup, object="setup_intent", status="requires_payment_method", usage="off_session")
        setup = v1.setup_intents.update(setup.id, {"metadata": {"a": "1"}})
        setup = v1.setup_intents.confirm(setup.id, {"payment_method": a_card().id})
        holds(setup, status="succeeded", metadata={"a": "1"}, customer=customer.id)
    seen.include("setup_intent.created", "setup_intent.succeeded", "payment_method.attached")
    holds(v1.setup_intents.retrieve(setup.id), id=setup.id, status="succeeded")
    equal([x.id for x in v1.setup_intents.list({"customer": customer.id}).data], [setup.id])
    with raises(InvalidRequestError, 400, "setup_intent_unexpected_state"):
        v1.setup_intents.cancel(setup.id)


def a_setup_is_cancelled():
    setup = v1.setup_intents.create({"payment_method_types": ["card"]})
    with events() as seen:
        holds(v1.setup_intents.cancel(setup.id), status="canceled")
    seen.include("setup_intent.canceled")


def a_card_that_is_declined_is_not_set_up():
    with events() as seen, raises(CardError, 402, "card_declined") as declined:
        v1.setup_intents.create(
            {"payment_method": "pm_card_chargeDeclined", "payment_method_types": ["card"], "confirm": True}
        )
    holds(declined.error.error.setup_intent, status="requires_payment_method")
    seen.include("setup_intent.setup_failed")


def a_currency_without_cents_is_not_divided():
    paid = intent(500, card="4242424242424242", currency="jpy")
    holds(paid, amount=500, currency="jpy", status="succeeded")
