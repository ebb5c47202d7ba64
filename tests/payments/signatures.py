"""What Stripe's Python SDK signs is a webhook, and nothing else is: the SDK judges each request too, and the gateway
has to agree.

usage: python signatures.py GATEWAY SECRET NEXT_SECRET    (both secrets are the gateway's)

Says `NAME ... ok` or `NAME ... FAILED` of each test.
"""

import itertools
import json
import os
import sys
import time
import traceback

import requests
import stripe

gateway, secret, next_secret = sys.argv[1:]
TOLERANCE_SECONDS = 300
numbers = itertools.count(1)


def event(**more):
    """An event of which nothing follows; nobody has sent it before."""
    number = next(numbers)
    body = {
        "id": f"evt_python_{os.getpid()}_{number}", "object": "event", "type": "product.created",
        "created": int(time.time()), "livemode": False, "api_version": "2026-09-30.endive", "pending_webhooks": 1,
        "request": None, "data": {"object": {"id": f"prod_{number}", "object": "product", **more}},
    }
    return json.dumps(body, ensure_ascii=False)


def sign(body, age=0, key=secret):
    return stripe.WebhookSignature.generate_signature_header(body, key, timestamp=int(time.time()) - age)


def is_genuine(body, header):
    """What the SDK says: one of the secrets fits."""
    for key in (secret, next_secret):
        try:
            stripe.WebhookSignature.verify_header(body, header, key, TOLERANCE_SECONDS)
            return True
        except stripe.SignatureVerificationError:
            pass
    return False


def answers(status, body, header):
    assert is_genuine(body, header) == (status == 200), f"the SDK doesn't say {status} of {header}"
    sent = requests.post(
        f"{gateway}/webhooks/stripe", data=body.encode(), timeout=10,
        headers={"stripe-signature": header, "content-type": "application/json; charset=utf-8"},
    )
    assert sent.status_code == status, f"{sent.status_code} {sent.text}"
    if status != 200:
        assert sent.headers["content-type"] == "application/problem+json", sent.headers


def what_this_sdk_signs_is_accepted():
    body = event()
    answers(200, body, sign(body))
    answers(200, body, sign(body))


def one_byte_changed_is_refused():
    body = event()
    header = sign(body)
    answers(400, body.replace("product.created", "product.Created"), header)
    answers(400, body + " ", header)
    answers(400, body, header[:-1] + ("0" if header[-1] != "0" else "1"))
    answers(400, body, sign(body, key=secret + "x"))


def letters_of_all_the_world_are_signed_as_they_are_sent():
    body = event(name="Ünï¢ødé 漢字 🪙 \u2028 e\u0301", description='" \\ / \b \f')
    answers(200, body, sign(body))
    answers(400, json.dumps(json.loads(body)), sign(body))


def it_holds_for_300_seconds():
    for age, status in ((299, 200), (301, 400)):
        body = event()
        answers(status, body, sign(body, age))


def one_signature_of_several_is_enough():
    body = event()
    at = int(time.time())
    header = lambda key: stripe.WebhookSignature.generate_signature_header(body, key, timestamp=at)
    (when, old), (_, good), (_, following) = (header(key).split(",") for key in ("whsec_old", secret, next_secret))
    for codes in ((old, good), (good, old), (good, following), (old, following)):
        answers(200, body, ",".join([when, *codes]))
    answers(400, body, ",".join([when, old, old]))
    answers(400, body, ",".join([when, good.replace("v1=", "v0=")]))


failed = 0
for test in (
    what_this_sdk_signs_is_accepted,
    one_byte_changed_is_refused,
    letters_of_all_the_world_are_signed_as_they_are_sent,
    it_holds_for_300_seconds,
    one_signature_of_several_is_enough,
):
    name = test.__name__.replace("_", " ")
    try:
        test()
        print(f"signatures of Python: {name} ... ok")
    except Exception:
        failed += 1
        traceback.print_exc(file=sys.stdout)
        print(f"signatures of Python: {name} ... FAILED")
sys.exit(failed > 0)
