"""The first result of a key is kept and replayed, be it good or bad, for a day."""

from stripe import APIError, CardError, IdempotencyError, InvalidRequestError

from harness import *

VISA, DECLINED = "pm_card_visa", "pm_card_chargeDeclined"


def _replayed(answer):
    return answer.headers.get("idempotent-replayed") == "true"


def a_success_is_replayed():
    with events() as seen:
        first = intent(card=VISA, options={"idempotency_key": "k1"})
        second = intent(card=VISA, options={"idempotency_key": "k1"})
    equal(second.id, first.id)
    equal(plain(second), plain(first))
    equal([_replayed(x.last_response) for x in (first, second)], [False, True])
    equal(second.last_response.headers["idempotency-key"], "k1")
    equal(len(v1.payment_intents.list().data), 1)
    equal(len(seen.of("payment_intent.succeeded")), 1)
    equal(seen[0]["request"]["idempotency_key"], "k1")
    equal(seen[0]["request"]["id"], first.last_response.headers["request-id"])


def a_replay_is_the_old_answer_not_the_new_state():
    first = v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    v1.customers.update(first.id, {"name": "Ben"})
    equal(v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"}).name, "Ada")


def another_key_pays_again():
    first, second = (intent(card=VISA, options={"idempotency_key": key}) for key in ("k1", "k2"))
    assert first.id != second.id


def a_decline_is_replayed():
    errors = []
    for _ in range(2):
        with raises(CardError, 402, "card_declined") as declined:
            intent(card=DECLINED, options={"idempotency_key": "k1"})
        errors.append(declined.error)
    equal([_replayed(error) for error in errors], [False, True])
    equal(errors[0].error.payment_intent.id, errors[1].error.payment_intent.id)
    equal(len(v1.payment_intents.list().data), 1)


def a_failure_after_the_effect_is_replayed_and_hides_a_payment():
    def pay():
        return intent(card=VISA, metadata={"order": "1"}, options={"idempotency_key": "k1"})

    with fault(method="POST", path="/v1/payment_intents", count=1, when="after", answer=500):
        with raises(APIError, 500) as failed:
            pay()
        assert not _replayed(failed.error)
        with raises(APIError, 500) as failed:
            pay()
        assert _replayed(failed.error), failed.error.headers
    payments = v1.payment_intents.search({"query": "metadata['order']:'1'"}).data
    equal([payment.status for payment in payments], ["succeeded"])


def a_failure_after_the_effect_need_not_be_stored():
    with fault(method="POST", path="/v1/payment_intents", count=1, when="after", answer=503, stored=False):
        with raises(APIError, 503):
            intent(card=VISA, options={"idempotency_key": "k1"})
        paid = intent(card=VISA, options={"idempotency_key": "k1"})
    equal(paid.status, "succeeded")
    equal([x.id for x in v1.payment_intents.list().data], [paid.id])


def an_answer_lost_on_its_way_is_found_by_asking_again():
    with fault(method="POST", path="/v1/payment_intents", count=1, when="after", answer="timeout"):
        try:
            intent(card=VISA, options={"idempotency_key": "k1"})
        except (stripe.APIConnectionError, APIError):
            pass
        else:
            raise AssertionError("answered in spite of the fault")
        paid = intent(card=VISA, options={"idempotency_key": "k1"})
    equal([(x.id, x.status) for x in v1.payment_intents.list().data], [(paid.id, "succeeded")])


def a_failure_before_the_effect_leaves_the_key_unused():
    with fault(method="POST", path="/v1/payment_intents", count=1, when="before", answer=500):
        with raises(APIError, 500):
            intent(card=VISA, options={"idempotency_key": "k1"})
    equal(v1.payment_intents.list().data, [])
    paid = intent(card=VISA, options={"idempotency_key": "k1"})
    assert not _replayed(paid.last_response)
    equal(len(v1.payment_intents.list().data), 1)


def a_key_with_other_parameters_is_refused():
    intent(1000, card=VISA, options={"idempotency_key": "k1"})
    says = "can only be used with the same parameters they were first used with"
    with raises(IdempotencyError, 400, says=says):
        intent(1001, card=VISA, options={"idempotency_key": "k1"})
    with raises(IdempotencyError, 400):
        v1.customers.create({}, {"idempotency_key": "k1"})
    equal(len(v1.payment_intents.list().data), 1)


def a_key_whose_request_still_runs_is_in_use():
    start, outcomes = threading.Barrier(2), []

    def create():
        start.wait(timeout=10)
        try:
            outcomes.append(("made", client().v1.customers.create({}, {"idempotency_key": "k1"}).id))
        except stripe.StripeError as error:
            outcomes.append((error.http_status, error.error.code))

    with fault(method="POST", path="/v1/customers", count=None, when="after", latency_ms=1500):
        threads = [threading.Thread(target=create) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    equal(len(outcomes), 2, "answers")
    refused = [x for x in outcomes if x[0] != "made"]
    made = [x[1] for x in outcomes if x[0] == "made"]
    equal(refused, [(409, "idempotency_key_in_use")])
    equal([x.id for x in v1.customers.list().data], made)
    again = v1.customers.create({}, {"idempotency_key": "k1"})
    equal(([again.id], _replayed(again.last_response)), (made, True))


def what_never_began_is_not_kept():
    with raises(InvalidRequestError, 400, "parameter_unknown"):
        v1.customers.create({"bogus": "1"}, {"idempotency_key": "k1"})
    with raises(InvalidRequestError, 400, "parameter_missing"):
        v1.payment_intents.create({"currency": "usd"}, {"idempotency_key": "k1"})
    made = v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    assert not _replayed(made.last_response)


def a_key_is_free_again_after_a_day():
    first = v1.customers.create({}, {"idempotency_key": "k1"})
    advance(23 * HOUR)
    equal(v1.customers.create({}, {"idempotency_key": "k1"}).id, first.id)
    advance(2 * HOUR)
    second = v1.customers.create({}, {"idempotency_key": "k1"})
    assert second.id != first.id and not _replayed(second.last_response)


def a_key_has_at_most_255_characters():
    v1.customers.create({}, {"idempotency_key": "k" * 255})
    try:
        v1.customers.create({}, {"idempotency_key": "k" * 256})
    except stripe.StripeError as error:
        equal(error.http_status, 400)
    else:
        raise AssertionError("256 characters were taken")
