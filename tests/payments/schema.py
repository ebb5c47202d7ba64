"""The gateway's own description of its API, taken at its word: the document is valid OpenAPI 3.1, and whatever
Schemathesis makes of it gets answers that the document announces, none of them a failure of ours.

usage: python schema.py LOCAL    (a file: what `local` said when it started with the catalog vantage, without limits)

Says `NAME ... ok` or `NAME ... FAILED` of each test.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

LIMIT_SECONDS = 120
# Everything that Schemathesis looks at, but for one: a purchase of a package that isn't sold is refused, as is a
# cursor that we never gave, though they are of the right form.
CHECKS = ["--checks", "all", "--exclude-checks", "positive_data_acceptance"]

said = Path(sys.argv[1]).read_text()
gateway, stripe, service_key = (
    re.search(pattern, said)[1]
    for pattern in (r"pages and API\s+(http://[^/]+)", r"Stripe\s+(http:\S+)", r"Bearer (\w+)")
)


def call(method, url, bearer, **more):
    answer = requests.request(method, url, headers={"authorization": f"Bearer {bearer}"}, timeout=10, **more)
    answer.raise_for_status()
    return answer.json()


def bearer_of(account):
    return call("POST", f"{gateway}/v1/sessions", service_key, json={"account_id": account, "use": "bearer"})["token"]


def somebody_with_purchases():
    """A bearer, and the purchases that it may ask for: one credited, one open."""
    bearer = bearer_of("schema")
    begin = lambda package: call("POST", f"{gateway}/v1/checkout/sessions", bearer, json={"package": package})
    paid = begin("starter")
    key = "sk_test_local"
    card = {"type": "card", "card[number]": "4242424242424242", "card[exp_month]": 12, "card[exp_year]": 2060}
    method = call("POST", f"{stripe}/v1/payment_methods", key, data=card)
    session = re.search(r"cs_test_\w+", paid["url"])[0]
    call("POST", f"{stripe}/v1/payment_pages/{session}/confirm", key, data={"payment_method": method["id"]})
    purchase, end = paid["purchase"]["id"], time.monotonic() + 10
    while call("GET", f"{gateway}/v1/purchases/{purchase}", bearer)["state"] != "credited":
        assert time.monotonic() < end, "the purchase isn't credited"
        time.sleep(0.1)
    return bearer, purchase, begin("professional")["purchase"]["id"]


def with_examples(document, credited, begun):
    """The document, and what nobody can guess from it: names of things that are there."""
    paths = document["paths"]
    orders = [{"package": "starter"}, {"package": "enterprise"}, {"tokens": 37}, {"tokens": 10_000}]
    sessions = [{"account_id": "schema", "use": use, "email": "ada@example.com"} for use in ("link", "bearer")]
    bodies = {"/v1/checkout/sessions": orders, "/v1/payment-intents": orders, "/v1/sessions": sessions}
    for path, examples in bodies.items():
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]
        body["examples"] = {f"example{number}": {"value": value} for number, value in enumerate(examples)}
    # What was begun can be looked at, and given up.
    purchase_of = lambda name: {"parameters": {name: "$response.body#/purchase/id"}}
    for path in ("/v1/checkout/sessions", "/v1/payment-intents"):
        paths[path]["post"]["responses"]["201"]["links"] = {
            "look": {"operationId": "purchase", **purchase_of("id")},
            "giveUp": {"operationId": "cancel", **purchase_of("purchase")},
        }
    for path, method, purchases in (
        ("/v1/purchases/{id}", "get", [credited, begun]),
        ("/v1/checkout/sessions/{purchase}/cancel", "post", [begun, credited]),
    ):
        [parameter] = [it for it in paths[path][method]["parameters"] if it["in"] == "path"]
        parameter["examples"] = {f"example{number}": {"value": id} for number, id in enumerate(purchases)}
    return document


failed = 0


def verdict(name, is_right, words=""):
    global failed
    if not is_right:
        failed += 1
        print(words)
    print(f"schema: {name} ... {'ok' if is_right else 'FAILED'}", flush=True)


def run_schemathesis(name, document, bearer, *picked):
    command = [
        Path(sys.executable).with_name("schemathesis"), "run", document, "--url", gateway, "--no-color",
        "--header", f"Authorization: Bearer {bearer}", *picked, *CHECKS,
        "--max-examples", "30", "--generation-deterministic", "--request-timeout", "10", "--continue-on-failure",
    ]
    try:
        run = subprocess.run(
            command, cwd=Path(document).parent, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return verdict(name, False, f"it took longer than {LIMIT_SECONDS} s")
    print("    " + "\n    ".join(re.findall(r"\d+ generated.*", run.stdout)))
    verdict(name, run.returncode == 0, run.stdout + run.stderr)


described = requests.get(f"{gateway}/openapi.json", timeout=10)
document = described.json()
assert document["openapi"].startswith("3.1."), document["openapi"]
problems = [f"{[*it.absolute_path]}: {it.message}" for it in OpenAPIV31SpecValidator(document).iter_errors()]
verdict("the document is valid OpenAPI 3.1", not problems, "\n".join(problems[:20]))

bearer, credited, begun = somebody_with_purchases()
with tempfile.TemporaryDirectory() as folder:
    path = str(Path(folder) / "openapi.json")
    Path(path).write_text(json.dumps(with_examples(document, credited, begun)))
    run_schemathesis("what a user may ask is answered as announced", path, bearer, "--exclude-path", "/v1/sessions")
    backends = ("--include-path", "/v1/sessions", "--phases", "examples,coverage,fuzzing")
    run_schemathesis("what a backend may ask is answered as announced", path, service_key, *backends)
sys.exit(failed > 0)
