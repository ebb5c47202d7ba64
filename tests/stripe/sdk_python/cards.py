"""Each card does what it is there for: on session, off session, saved, at the bank's page."""

from stripe import CardError

from harness import *

RETURN = {"return_url": "https://example.com/back"}


def _saved(number):
    """A customer with this card, set up for off-session use."""
    customer = a_customer()
    setup = v1.setup_intents.create(
        {
            "customer": customer.id,
            "payment_method": a_card(number).id,
            "payment_method_types": ["card"],
            "usage": "off_session",
            "confirm": True,
            **RETURN,
        }
    )
    if setup.status == "requires_action":
        answer_bank(setup)
    setup = v1.setup_intents.retrieve(setup.id)
    holds(setup, status="succeeded", usage="off_session")
    equal(v1.payment_methods.retrieve(setup.payment_method).customer, customer.id)
    return customer, setup.payment_method


def _off_session(customer, card, **more):
    return intent(card=card, customer=customer.id, off_session=True, **more)


def a_good_card_pays():
    with events() as seen:
        paid = intent(1234, card="4242424242424242", metadata={"order": "1"})
    holds(paid, status="succeeded", amount=1234, amount_received=1234, livemode=False, metadata={"order": "1"})
    assert paid.id.startswith("pi_") and paid.client_secret.startswith(paid.id + "_secret_")
    charge = v1.charges.retrieve(paid.latest_charge)
    holds(charge, status="succeeded", paid=True, captured=True, amount=1234, refunded=False, disputed=False)
    holds(charge, payment_intent=paid.id, metadata={"order": "1"})
    equal(charge.payment_method_details.card.last4, "4242")
    seen.include("payment_intent.created", "charge.succeeded", "payment_intent.succeeded")
    seen.exclude("charge.failed", "payment_intent.payment_failed", "payment_intent.requires_action")
    holds(seen.only("payment_intent.succeeded"), id=paid.id, status="succeeded")


def a_declined_card_says_why():
    for number, (code, decline) in {
        "4000000000000002": ("card_declined", "generic_decline"),
        "4000000000009995": ("card_declined", "insufficient_funds"),
        "4000000000009987": ("card_declined", "lost_card"),
        "4000000000009979": ("card_declined", "stolen_card"),
        "4000000000000069": ("expired_card", "expired_card"),
        "4000000000000127": ("incorrect_cvc", "incorrect_cvc"),
        "4000000000000119": ("processing_error", "processing_error"),
    }.items():
        with events() as seen, raises(CardError, 402, code) as declined:
            intent(card=number, metadata={"number": number})
        error = declined.error.error
        equal((error.type, error.decline_code), ("card_error", decline), number)
        assert error.doc_url and error.message, number
        failed = error.payment_intent
        holds(failed, status="requires_payment_method", metadata={"number": number}, amount_received=0)
        equal((failed.last_payment_error.code, failed.last_payment_error.decline_code), (code, decline))
        equal(failed.last_payment_error.payment_method.card.last4, number[-4:])
        charge = v1.charges.retrieve(error.charge)
        holds(charge, status="failed", paid=False, failure_code=code, payment_intent=failed.id)
        seen.include("payment_intent.created", "charge.failed", "payment_intent.payment_failed")
        seen.exclude("charge.succeeded", "payment_intent.succeeded")


def stripe_s_sentences_are_kept():
    for number, says in {
        "4000000000000002": "Your card was declined.",
        "4000000000009995": "Your card has insufficient funds.",
        "4000000000000069": "Your card has expired.",
    }.items():
        with raises(CardError, 402, says=says):
            intent(card=number)


def a_declined_payment_is_paid_with_another_card():
    with raises(CardError, 402) as declined:
        intent(card="4000000000000002")
    failed = declined.error.error.payment_intent
    paid = v1.payment_intents.confirm(failed.id, {"payment_method": a_card().id})
    holds(paid, id=failed.id, status="succeeded", last_payment_error=None)
    charges = v1.charges.list({"payment_intent": paid.id}).data
    equal([charge.status for charge in charges], ["succeeded", "failed"])


def a_card_can_be_saved_and_declined_when_charged():
    for customer, card in (
        _saved("4000000000000341"),
        (
            owner := a_customer(),
            v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": owner.id}).id,
        ),
    ):
        with raises(CardError, 402, "card_declined") as declined:
            _off_session(customer, card)
        equal(declined.error.error.payment_intent.status, "requires_payment_method")


def a_card_set_up_for_off_session_use_is_not_asked_again():
    holds(_off_session(*_saved("4000002500003155")), status="succeeded")


def a_card_not_set_up_is_asked_off_session():
    customer = a_customer()
    card = v1.payment_methods.attach(a_card("4000002500003155").id, {"customer": customer.id})
    with raises(CardError, 402, "authentication_required"):
        _off_session(customer, card.id)


def a_card_that_always_asks_fails_off_session():
    customer, card = _saved("4000002760003184")
    with events() as seen, raises(CardError, 402, "authentication_required") as asked:
        _off_session(customer, card)
    error = asked.error.error
    equal(error.type, "card_error")
    holds(error.payment_intent, status="requires_payment_method")
    equal(error.payment_intent.last_payment_error.code, "authentication_required")
    equal(error.payment_method.id, card)
    seen.include("payment_intent.payment_failed")
    seen.exclude("payment_intent.requires_action", "payment_intent.succeeded")
    # The way out: the same payment again, with the customer there.
    payment = v1.payment_intents.confirm(error.payment_intent.id, {"payment_method": card, **RETURN})
    answer_bank(payment)
    holds(v1.payment_intents.retrieve(payment.id), status="succeeded")


def a_card_set_up_elsewhere_pays_off_session_only():
    customer = a_customer()
    card = v1.payment_methods.attach(a_card("4000003800000446").id, {"customer": customer.id})
    holds(_off_session(customer, card.id), status="succeeded")
    holds(intent(card=card.id, customer=customer.id, **RETURN), status="requires_action")


def a_bank_that_asks_is_answered_on_its_page():
    for number in ("4000000000003220", "4000002760003184", "4000002500003155"):
        with events() as seen:
            payment = intent(card=number, **RETURN)
            holds(payment, status="requires_action", amount_received=0)
            equal(payment.next_action.type, "redirect_to_url")
            answer_bank(payment)
        holds(v1.payment_intents.retrieve(payment.id), status="succeeded", next_action=None)
        seen.include("payment_intent.requires_action", "charge.succeeded", "payment_intent.succeeded")


def a_customer_who_fails_at_the_bank_has_not_paid():
    payment = intent(card="4000000000003220", **RETURN)
    with events() as seen:
        answer_bank(payment, button=r"fail|refuse|decline|reject|deny")
    failed = v1.payment_intents.retrieve(payment.id)
    holds(failed, status="requires_payment_method")
    equal(failed.last_payment_error.code, "payment_intent_authentication_failure")
    seen.include("payment_intent.payment_failed")
    seen.exclude("payment_intent.succeeded")


def a_bank_may_be_satisfied_and_the_card_still_declined():
    for number, decline in {
        "4000008400001629": "generic_decline",
        "4000008260003178": "insufficient_funds",
    }.items():
        payment = intent(card=number, **RETURN)
        answer_bank(payment)
        failed = v1.payment_intents.retrieve(payment.id)
        holds(failed, status="requires_payment_method")
        equal(
            (failed.last_payment_error.code, failed.last_payment_error.decline_code), ("card_declined", decline)
        )


def error_on_requires_action_asks_nobody():
    for card in ("4000000000003220", "pm_card_authenticationRequired"):
        with events() as seen, raises(CardError, 402, "authentication_required") as asked:
            intent(card=card, error_on_requires_action=True)
        holds(asked.error.error.payment_intent, status="requires_payment_method", next_action=None)
        seen.exclude("payment_intent.requires_action", "payment_intent.succeeded")


def a_payment_sets_its_card_up_for_later():
    customer = a_customer()
    paid = intent(card="4242424242424242", customer=customer.id, setup_future_usage="off_session")
    holds(v1.payment_methods.retrieve(paid.payment_method), customer=customer.id)
    holds(_off_session(customer, paid.payment_method), status="succeeded")


def a_payment_confirmed_at_the_bank_sets_its_card_up_for_later():
    customer = a_customer()
    payment = intent(card="4000002500003155", customer=customer.id, setup_future_usage="off_session", **RETURN)
    answer_bank(payment)
    paid = v1.payment_intents.retrieve(payment.id)
    holds(paid, status="succeeded")
    holds(_off_session(customer, paid.payment_method), status="succeeded")


def a_card_of_nobody_pays_once():
    card = a_card().id
    holds(intent(card=card), status="succeeded")
    with raises(stripe.InvalidRequestError, 400, says="may not be used again"):
        intent(card=card)
