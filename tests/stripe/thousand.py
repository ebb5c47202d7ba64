"""Makes and pays a thousand checkout sessions, and says how long that took and how much memory it took.

usage: thousand.py SIMULATOR [--pid PID] [--sessions N] [--threads N]

Used by hand; `run` doesn't. With --pid, the peak memory of that process is read from /proc. Needs nothing
but Python, and keeps its connections open, so that it measures the simulator rather than itself.
"""

import argparse
import concurrent.futures
import http.client
import json
import pathlib
import threading
import time
import urllib.parse

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("simulator")
parser.add_argument("--pid", type=int)
parser.add_argument("--sessions", type=int, default=1000)
parser.add_argument("--threads", type=int, default=4)
arguments = parser.parse_args()

host = urllib.parse.urlsplit(arguments.simulator).netloc
local = threading.local()


def call(method, path, **params):
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection(host, timeout=60)
    body = urllib.parse.urlencode(params) if params else None
    headers = {"authorization": "Bearer sk_test_thousand", "content-type": "application/x-www-form-urlencoded"}
    local.connection.request(method, path, body, headers)
    answer = local.connection.getresponse()
    text = answer.read()
    assert answer.status == 200, f"{method} {path}: {answer.status} {text[:500]!r}"
    return json.loads(text)


def buy(number):
    session = call(
        "POST",
        "/v1/checkout/sessions",
        **{
            "mode": "payment",
            "success_url": "https://example.com/done",
            "client_reference_id": f"user-{number}",
            "line_items[0][price]": price,
            "line_items[0][quantity]": 2,
            "payment_intent_data[metadata][purchase]": number,
        },
    )
    card = call(
        "POST",
        "/v1/payment_methods",
        **{
            "type": "card",
            "card[number]": "4242424242424242",
            "card[exp_month]": 12,
            "card[exp_year]": 2060,
            "card[cvc]": "123",
        },
    )
    page = f"/v1/payment_pages/{session['id']}"
    call("POST", page + "/confirm", payment_method=card["id"], expected_amount=3000)
    paid = call("GET", f"/v1/checkout/sessions/{session['id']}")
    assert (paid["status"], paid["payment_status"]) == ("complete", "paid"), paid


def memory_kib(field):
    for line in pathlib.Path(f"/proc/{arguments.pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])


price = call("POST", "/v1/prices", currency="usd", unit_amount=1500, **{"product_data[name]": "Tokens"})["id"]
began = time.monotonic()
with concurrent.futures.ThreadPoolExecutor(arguments.threads) as pool:
    list(pool.map(buy, range(arguments.sessions)))
took = time.monotonic() - began
print(f"{arguments.sessions} sessions made and paid in {took:.2f} s, {arguments.sessions / took:.0f} a second")
if arguments.pid:
    print(f"peak memory {memory_kib('VmHWM') / 1024:.1f} MiB, now {memory_kib('VmRSS') / 1024:.1f} MiB")
