"""What is refused, and how: Stripe's classes, codes, parameters and sentences."""

from stripe import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    InvalidRequestError,
    RateLimitError,
)

from harness import *


def an_unknown_parameter_is_refused():
    with raises(InvalidRequestError, 400, "parameter_unknown", "bogus", "Received unknown parameter: bogus"):
        v1.customers.create({"bogus": "1"})
    with raises(InvalidRequestError, 400, "parameter_unknown", "invoice_settings[bogus]"):
        v1.customers.create({"invoice_settings": {"bogus": "1"}})
    with raises(InvalidRequestError, 400, "parameter_unknown", "bogus"):
        v1.customers.list({"bogus": "1"})
    equal(v1.customers.list().data, [], "customers")


def a_missing_parameter_is_named():
    with raises(InvalidRequestError, 400, "parameter_missing", "amount", "Missing required param: amount"):
        v1.payment_intents.create({"currency": "usd"})
    with raises(InvalidRequestError, 400, "parameter_missing", "currency"):
        v1.payment_intents.create({"amount": 1000})
    with raises(InvalidRequestError, 400, "parameter_missing", "customer"):
        v1.subscriptions.create({"items": [{"price": a_price(interval="month").id}]})
    with raises(InvalidRequestError, 400, "parameter_missing", "name"):
        v1.products.create({})


def what_is_no_integer_is_refused():
    with raises(InvalidRequestError, 400, "parameter_invalid_integer", "amount", "Invalid integer: ten"):
        v1.payment_intents.create({"amount": "ten", "currency": "usd"})
    with raises(InvalidRequestError, 400, "parameter_invalid_integer", "amount"):
        v1.payment_intents.create({"amount": "10.5", "currency": "usd"})
    with raises(InvalidRequestError, 400, param="amount"):
        v1.payment_intents.create({"amount": -100, "currency": "usd"})


def an_amount_below_the_minimum_is_refused():
    with raises(InvalidRequestError, 400, "amount_too_small", "amount"):
        v1.payment_intents.create({"amount": 10, "currency": "usd"})


def a_value_outside_its_list_is_refused():
    with raises(InvalidRequestError, 400, param="capture_method", says="must be one of"):
        v1.payment_intents.create({"amount": 1000, "currency": "usd", "capture_method": "sometimes"})
    with raises(InvalidRequestError, 400, param="currency", says="Invalid currency"):
        v1.payment_intents.create({"amount": 1000, "currency": "doubloons"})
    with raises(InvalidRequestError, 400, param="mode"):
        v1.checkout.sessions.create({"mode": "lease", "success_url": "https://example.com"})


def what_does_not_exist_is_missing():
    with raises(InvalidRequestError, 404, "resource_missing", "id", "No such customer: 'cus_nope'"):
        v1.customers.retrieve("cus_nope")
    with raises(InvalidRequestError, 400, "resource_missing", "customer", "No such customer: 'cus_nope'"):
        v1.payment_intents.create({"amount": 1000, "currency": "usd", "customer": "cus_nope"})
    for service in (
        v1.payment_intents,
        v1.setup_intents,
        v1.charges,
        v1.refunds,
        v1.disputes,
        v1.products,
        v1.prices,
        v1.coupons,
        v1.subscriptions,
        v1.invoices,
        v1.events,
        v1.payment_methods,
    ):
        with raises(InvalidRequestError, 404, "resource_missing", says="'nope_1'"):
            service.retrieve("nope_1")
    with raises(InvalidRequestError, 404, "resource_missing"):
        v1.checkout.sessions.retrieve("cs_test_nope")


def an_unknown_address_is_told():
    with raises(InvalidRequestError, 404, says="Unrecognized request URL (GET: /v1/nonsense)"):
        api.raw_request("get", "/v1/nonsense")
    with raises(InvalidRequestError, 404, says="Unrecognized request URL (POST: /v1/customers/a/b/c)"):
        api.raw_request("post", "/v1/customers/a/b/c")
    with raises(InvalidRequestError, 404, says="Unrecognized request URL"):
        api.raw_request("delete", "/v1/payment_intents/pi_1")


def only_secret_keys_of_test_mode_are_accepted():
    for key in ("nonsense", "sk_live_abc", "rk_live_abc"):
        with raises(AuthenticationError, 401) as refused:
            client(key).v1.customers.list()
        assert key not in str(refused.error), "an error must not show the key"
    for key in ("sk_test_another", "rk_test_restricted"):
        equal(client(key).v1.customers.list().data, [])


def a_key_that_is_missing_is_asked_for():
    request = urllib.request.Request(JUDGE + "/v1/customers")
    try:
        urllib.request.urlopen(request, timeout=10)
        raise AssertionError("answered without a key")
    except urllib.error.HTTPError as error:
        equal(error.code, 401)
        assert "API key" in json.loads(error.read())["error"]["message"]


def bearer_and_basic_are_the_same_key():
    import base64

    for header in ("Bearer sk_test_x", "Basic " + base64.b64encode(b"sk_test_x:").decode()):
        request = urllib.request.Request(JUDGE + "/v1/customers", headers={"authorization": header})
        with urllib.request.urlopen(request, timeout=10) as answer:
            equal(json.loads(answer.read())["object"], "list")


def a_publishable_key_may_do_what_a_browser_does():
    public = client("pk_test_browser").v1
    payment = intent()
    seen = public.payment_intents.retrieve(payment.id, {"client_secret": payment.client_secret})
    holds(seen, id=payment.id)
    card = public.payment_methods.create(
        {
            "type": "card",
            "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2060, "cvc": "123"},
        }
    )
    by_secret = {"client_secret": payment.client_secret, "payment_method": card.id}
    holds(public.payment_intents.confirm(payment.id, by_secret), status="succeeded")
    for forbidden in (
        lambda: public.customers.list(),
        lambda: public.payment_intents.retrieve(payment.id),
        lambda: public.payment_intents.retrieve(payment.id, {"client_secret": payment.id + "_secret_wrong"}),
        lambda: public.refunds.create({"payment_intent": payment.id}),
    ):
        try:
            forbidden()
        except stripe.StripeError as error:
            assert error.http_status in (400, 401, 403), error.http_status
        else:
            raise AssertionError("a publishable key did what needs a secret one")


def every_answer_says_which_request_it_was():
    answer = v1.customers.create({"email": "ada@example.com"}).last_response
    assert answer.headers["request-id"].startswith("req_"), dict(answer.headers)
    assert answer.headers["stripe-version"], dict(answer.headers)
    with raises(InvalidRequestError, 404) as missing:
        v1.customers.retrieve("cus_nope")
    assert missing.error.request_id.startswith("req_")
    assert missing.error.error.doc_url, "doc_url"


def faults_come_as_stripe_sends_them():
    with fault(method="GET", path="/v1/customers", count=1, answer=500):
        with raises(APIError, 500):
            v1.customers.list()
        v1.customers.list()
    with fault(method="GET", path="/v1/customers", count=1, answer=429, headers={"retry-after": "1"}):
        with raises(RateLimitError, 429) as limited:
            v1.customers.list()
        equal(limited.error.headers["retry-after"], "1")
    with fault(method="GET", path="/v1/cust*", count=2, answer=503):
        for _ in range(2):
            with raises(APIError, 503):
                v1.customers.list()
        v1.customers.list()
    with fault(method="GET", path="/v1/customers", count=1, answer="timeout", latency_ms=50):
        try:
            v1.customers.list()
        except (APIConnectionError, APIError):
            pass
        else:
            raise AssertionError("answered in spite of the fault")
    v1.customers.list()


def a_fault_may_be_probable_and_last_until_cleared():
    with fault(method="GET", path="/v1/customers", count=None, probability=0.5, answer=500):
        outcomes = set()
        for _ in range(64):
            try:
                v1.customers.list()
                outcomes.add(200)
            except APIError as error:
                outcomes.add(error.http_status)
        equal(outcomes, {200, 500})
        assert sim("GET", "/faults"), "the fault is listed"
    v1.customers.list()
