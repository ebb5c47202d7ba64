"""What every test here stands on: Stripe's SDK pointed at the simulator, the simulator's own controls, and a
record of the events that something caused."""

import calendar
import contextlib
import datetime
import html.parser
import http.server
import json
import re
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import stripe

JUDGE, SIMULATOR = (address.rstrip("/") for address in sys.argv[1:3])
KEY = "sk_test_python"
MINUTE, HOUR, DAY = 60, 3600, 86400

stripe.enable_telemetry = False


def client(key=KEY, base=JUDGE):
    return stripe.StripeClient(key, base_addresses={"api": base}, max_network_retries=0)


api = client()
v1 = api.v1


# --- the simulator's own controls


def sim(method, path, body=None):
    """A call of /_sim: JSON in, JSON out."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"} if data else {}
    request = urllib.request.Request(SIMULATOR + "/_sim" + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"/_sim{path}: {error.code} {error.read()[:500]!r}") from None
    return json.loads(text) if text else None


def start_over():
    """Forgets everything and stops the clock, so that only `advance` moves time."""
    sim("POST", "/reset", {"seed": 7})
    sim("POST", "/clock", {"frozen": True})


def now():
    return sim("GET", "/clock")["now"]


def advance(seconds):
    return sim("POST", "/clock", {"advance": int(seconds)})["happened"]


def advance_to(moment):
    return sim("POST", "/clock", {"to": int(moment)})["happened"]


def after_months(moment, months):
    """The same day and time so many months later, or that month's last day: Stripe's billing anchor."""
    then = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)
    year, month = divmod(then.year * 12 + then.month - 1 + months, 12)
    day = min(then.day, calendar.monthrange(year, month + 1)[1])
    return int(then.replace(year=year, month=month + 1, day=day).timestamp())


@contextlib.contextmanager
def fault(**what):
    sim("POST", "/faults", what)
    try:
        yield
    finally:
        sim("DELETE", "/faults")


def wait_until(condition, what, seconds=10):
    """A bounded wait for what happens on its own: deliveries."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return found


# --- what is asserted again and again


class Raised:
    error = None


@contextlib.contextmanager
def raises(kind, status=None, code=None, param=None, says=None):
    """The SDK must raise exactly this; `.error` is what it raised."""
    raised = Raised()
    try:
        yield raised
    except kind as error:
        raised.error = error
        got = (error.http_status, error.code, getattr(error, "param", None), error.user_message)
        assert type(error) is kind, f"{type(error).__name__} {got}"
        assert status in (None, error.http_status), f"status {status} expected: {got}"
        assert code in (None, error.code), f"code {code} expected: {got}"
        assert param in (None, getattr(error, "param", None)), f"param {param} expected: {got}"
        assert says is None or says in (error.user_message or ""), f"{says!r} expected: {got}"
        return
    raise AssertionError(f"{kind.__name__} {code or ''} expected, but nothing was raised")


def equal(got, expected, what=""):
    assert got == expected, f"{what} {expected!r} expected, got {got!r}"


def plain(thing):
    """Dicts and lists, which compare and print."""
    return json.loads(json.dumps(thing.to_dict() if hasattr(thing, "to_dict") else thing, default=str))


def holds(thing, **expected):
    """The object's members, among others."""
    got = plain(thing)
    wrong = {k: (v, got.get(k)) for k, v in expected.items() if k not in got or got[k] != v}
    assert not wrong, f"{got.get('object')} {got.get('id')}: " + ", ".join(
        f"{k} {v!r} expected, got {g!r}" for k, (v, g) in wrong.items()
    )


class Events(list):
    """Events as dicts, oldest first."""

    @property
    def types(self):
        return [event["type"] for event in self]

    def of(self, kind):
        return [event["data"]["object"] for event in self if event["type"] == kind]

    def only(self, kind):
        found = self.of(kind)
        assert len(found) == 1, f"one {kind} expected, got {len(found)} among {self.types}"
        return found[0]

    def include(self, *kinds):
        lacking = sorted(set(kinds) - set(self.types))
        assert not lacking, f"no {lacking} among {self.types}"

    def exclude(self, *kinds):
        found = sorted(set(kinds) & set(self.types))
        assert not found, f"unexpected {found} among {self.types}"


@contextlib.contextmanager
def events():
    """What became an event while the block ran."""
    newest = v1.events.list({"limit": 1}).data
    seen = Events()
    yield seen
    try:
        since = {"ending_before": newest[0].id} if newest else {}
        page = v1.events.list({"limit": 100, **since})
    except stripe.InvalidRequestError as error:
        equal(error.code, "resource_missing")  # more than 30 days went by: all that is kept is newer
        since, page = {}, v1.events.list({"limit": 100})
    # Paging backwards gives the oldest first.
    found = [plain(event) for event in page.auto_paging_iter()]
    seen.extend(found if since else reversed(found))


# --- what most tests need


def a_card(number="4242424242424242", **more):
    card = {"number": number, "exp_month": 12, "exp_year": 2060, "cvc": "123"}
    return v1.payment_methods.create({"type": "card", "card": card, **more})


def an_iban(iban):
    billing = {"name": "Ada Lovelace", "email": "ada@example.com"}
    return v1.payment_methods.create(
        {"type": "sepa_debit", "sepa_debit": {"iban": iban}, "billing_details": billing}
    )


def a_customer(number=None, **more):
    """A customer whose invoices are paid by this card."""
    customer = v1.customers.create({"email": "ada@example.com", **more})
    if number:
        use_card(customer, number)
    return customer


def use_card(customer, number):
    card = v1.payment_methods.attach(a_card(number).id, {"customer": customer.id})
    v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})
    return card


def a_price(unit_amount=1000, currency="usd", interval=None, **more):
    params = {"unit_amount": unit_amount, "currency": currency, **more}
    if "product" not in params:
        params.setdefault("product_data", {"name": "Tokens"})
    if interval:
        params["recurring"] = {"interval": interval}
    return v1.prices.create(params)


def intent(amount=1000, card=None, options=None, **more):
    """A PaymentIntent for cards; with a card (a number or a `pm_…`) it is confirmed at once."""
    params = {"amount": amount, "currency": "usd", "payment_method_types": ["card"], **more}
    if card:
        params["payment_method"] = card if card.startswith("pm_") else a_card(card).id
        params["confirm"] = True
    return v1.payment_intents.create(params, options)


def a_session(price=None, quantity=1, **more):
    params = {"mode": "payment", "success_url": "https://example.com/done?s={CHECKOUT_SESSION_ID}", **more}
    if params["mode"] != "setup" and "line_items" not in params:
        params["line_items"] = [{"price": (price or a_price()).id, "quantity": quantity}]
    return v1.checkout.sessions.create(params)


def pay_page(session, payment_method=None, expected_amount=None):
    """What the hosted page calls, and `stripe trigger` too: look at the session, then confirm it."""
    path = f"/v1/payment_pages/{session.id}"
    api.raw_request("get", path)
    params = {"payment_method": payment_method, "expected_amount": expected_amount}
    api.raw_request("post", path + "/confirm", **{k: v for k, v in params.items() if v is not None})
    return v1.checkout.sessions.retrieve(session.id)


def latest_invoice(subscription):
    return v1.invoices.retrieve(v1.subscriptions.retrieve(subscription.id).latest_invoice)


# --- the bank's page


class Forms(html.parser.HTMLParser):
    """Each form of a page: where it goes, its fields, and its buttons by what they say."""

    def __init__(self):
        super().__init__()
        self.forms, self.button = [], None

    def handle_starttag(self, tag, attributes):
        said = dict(attributes)
        if tag == "form":
            self.forms.append({"action": said.get("action", ""), "fields": {}, "buttons": {}})
        elif self.forms and tag == "input" and said.get("type") == "submit":
            self.forms[-1]["buttons"][said.get("value", "")] = said
        elif self.forms and tag == "input" and said.get("name"):
            self.forms[-1]["fields"][said["name"]] = said.get("value", "")
        elif self.forms and tag == "button":
            self.button = (said, [])

    def handle_data(self, data):
        if self.button:
            self.button[1].append(data)

    def handle_endtag(self, tag):
        if tag == "button" and self.button:
            said, text = self.button
            self.forms[-1]["buttons"]["".join(text).strip()] = said
            self.button = None


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def answer_bank(payment, button=r"complete|authori[sz]e|approve|confirm"):
    """Goes to the bank's page of an intent that waits for 3-D Secure, and presses a button there."""
    holds(payment, status="requires_action")
    url = payment.next_action.redirect_to_url.url
    with urllib.request.urlopen(url, timeout=10) as answer:
        page = Forms()
        page.feed(answer.read().decode())
    for form in page.forms:
        for text, said in form["buttons"].items():
            if re.search(button, text, re.IGNORECASE):
                fields = dict(form["fields"])
                if said.get("name"):
                    fields[said["name"]] = said.get("value", "")
                to = urllib.parse.urljoin(url, said.get("formaction") or form["action"])
                post = urllib.request.Request(to, urllib.parse.urlencode(fields).encode())
                try:
                    urllib.request.build_opener(NoRedirects).open(post, timeout=10).close()
                except urllib.error.HTTPError as error:
                    assert error.code in (302, 303), f"{to}: {error.code}"
                return
    raise AssertionError(f"no button like {button} on {url}: {page.forms}")


# --- a receiver of webhooks


@contextlib.contextmanager
def receiver():
    """A server that takes every webhook; yields its address and the events that came."""
    came = []

    class Receive(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            came.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", came
    finally:
        server.shutdown()
        server.server_close()
