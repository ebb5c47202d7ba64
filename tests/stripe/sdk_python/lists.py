"""Lists and their pages, filters by time, expanding, metadata, search."""

from stripe import InvalidRequestError

from harness import *


def _customers(count):
    """Newest first, as they are listed."""
    return [v1.customers.create({"name": f"number {n}"}).id for n in range(count)][::-1]


def _ids(page):
    return [thing.id for thing in page]


def pages_go_forward_from_the_newest():
    ids = _customers(25)
    first = v1.customers.list({"limit": 10})
    holds(first, object="list", has_more=True, url="/v1/customers")
    equal(_ids(first.data), ids[:10])
    second = v1.customers.list({"limit": 10, "starting_after": ids[9]})
    equal((_ids(second.data), second.has_more), (ids[10:20], True))
    last = v1.customers.list({"limit": 10, "starting_after": ids[19]})
    equal((_ids(last.data), last.has_more), (ids[20:], False))
    equal(_ids(v1.customers.list().data), ids[:10], "ten is the default:")
    equal(_ids(v1.customers.list({"limit": 10}).auto_paging_iter()), ids)


def pages_go_back_towards_the_newest():
    ids = _customers(25)
    page = v1.customers.list({"limit": 10, "ending_before": ids[24]})
    equal((_ids(page.data), page.has_more), (ids[14:24], True))
    page = v1.customers.list({"limit": 10, "ending_before": ids[4]})
    equal((_ids(page.data), page.has_more), (ids[:4], False))
    oldest_first = v1.customers.list({"limit": 10, "ending_before": ids[24]}).auto_paging_iter()
    equal(_ids(oldest_first), ids[23::-1])


def a_page_has_one_to_a_hundred():
    ids = _customers(3)
    equal(_ids(v1.customers.list({"limit": 100}).data), ids)
    equal(_ids(v1.customers.list({"limit": 1}).data), ids[:1])
    for limit in (0, 101, -1, "many"):
        with raises(InvalidRequestError, 400, "parameter_invalid_integer", "limit"):
            v1.customers.list({"limit": limit})


def a_page_after_something_unknown_is_refused():
    with raises(InvalidRequestError, 400, "resource_missing", "starting_after"):
        v1.customers.list({"starting_after": "cus_nope"})


def lists_are_filtered_by_time():
    moments, ids = [], []
    for _ in range(3):
        ids.append(v1.customers.create({}).id)
        moments.append(now())
        advance(HOUR)
    for expected, created in {
        (2, 1): {"gte": moments[1]},
        (2,): {"gt": moments[1]},
        (1, 0): {"lte": moments[1]},
        (0,): {"lt": moments[1]},
        (1,): {"gte": moments[1], "lt": moments[2]},
    }.items():
        equal(_ids(v1.customers.list({"created": created}).data), [ids[n] for n in expected], str(created))
    equal(_ids(v1.customers.list({"created": moments[1]}).data), [ids[1]])


def lists_are_filtered_by_what_they_belong_to():
    ada, ben = a_customer("4242424242424242"), a_customer("4242424242424242", email="ben@example.com")
    for owner in (ada, ben):
        card = v1.customers.retrieve(owner.id).invoice_settings.default_payment_method
        intent(card=card, customer=owner.id)
    for service in (v1.payment_intents, v1.charges):
        equal([x.customer for x in service.list({"customer": ada.id}).data], [ada.id])
    equal(_ids(v1.customers.list({"email": "ben@example.com"}).data), [ben.id])
    payment = v1.payment_intents.list({"customer": ben.id}).data[0]
    equal(_ids(v1.charges.list({"payment_intent": payment.id}).data), [payment.latest_charge])


def what_is_named_is_expanded():
    customer = a_customer("4242424242424242")
    card = v1.customers.retrieve(customer.id).invoice_settings.default_payment_method
    made = intent(card=card, customer=customer.id, expand=["customer"])
    equal(made.customer.email, "ada@example.com")
    assert isinstance(made.latest_charge, str)
    nested = v1.payment_intents.retrieve(
        made.id, {"expand": ["latest_charge.balance_transaction", "payment_method"]}
    )
    equal(nested.latest_charge.id, made.latest_charge)
    equal(nested.latest_charge.balance_transaction.amount, 1000)
    equal(nested.payment_method.card.last4, "4242")
    listed = v1.payment_intents.list({"expand": ["data.customer", "data.latest_charge"]})
    equal((listed.data[0].customer.id, listed.data[0].latest_charge.paid), (customer.id, True))
    session = a_session(expand=["line_items"])
    equal(session.line_items.data[0].quantity, 1)
    assert "line_items" not in plain(v1.checkout.sessions.retrieve(session.id)), "only when asked for"


def what_can_not_be_expanded_is_refused():
    payment = intent()
    for path in ("amount", "bogus"):
        with raises(InvalidRequestError, 400, says="cannot be expanded"):
            v1.payment_intents.retrieve(payment.id, {"expand": [path]})
    with raises(InvalidRequestError, 400, says="cannot be expanded"):
        v1.payment_intents.list({"expand": ["customer"]})
    with raises(InvalidRequestError, 400):
        v1.payment_intents.retrieve(payment.id, {"expand": ["customer.subscriptions.data.customer.invoice"]})


def metadata_is_merged_and_unset():
    customer = v1.customers.create({"metadata": {"a": "1", "b": "2"}})
    merged = v1.customers.update(customer.id, {"metadata": {"b": "", "c": "3"}})
    equal(plain(merged.metadata), {"a": "1", "c": "3"})
    equal(plain(v1.customers.update(customer.id, {"name": "Ada"}).metadata), {"a": "1", "c": "3"})
    equal(plain(v1.customers.update(customer.id, {"metadata": ""}).metadata), {})


def metadata_has_limits():
    v1.customers.create({"metadata": {"k" * 40: "v" * 500}})
    v1.customers.create({"metadata": {f"k{n}": "v" for n in range(50)}})
    for metadata in ({"k" * 41: "v"}, {"k": "v" * 501}, {f"k{n}": "v" for n in range(51)}):
        with raises(InvalidRequestError, 400):
            v1.customers.create({"metadata": metadata})


def text_survives_the_wire():
    odd = 'Zoë & Søn + 100% = ? "quoted" [a][b] 🦀 \n tail'
    customer = v1.customers.create({"name": odd, "metadata": {"order": odd}})
    again = v1.customers.retrieve(customer.id)
    equal((again.name, again.metadata["order"]), (odd, odd))


def what_was_made_is_found_by_searching():
    ada = v1.customers.create({"email": "ada@example.com", "metadata": {"order": "42"}})
    v1.customers.create({"email": "ben@example.com", "metadata": {"order": "43"}})
    for query in (
        "email:'ada@example.com'",
        "metadata['order']:'42'",
        "email:'ada@example.com' AND metadata['order']:'42'",
    ):
        found = v1.customers.search({"query": query})
        holds(found, object="search_result", has_more=False)
        equal(_ids(found.data), [ada.id], query)
    payment = intent(metadata={"order": "42"})
    intent(metadata={"order": "43"})
    equal(_ids(v1.payment_intents.search({"query": "metadata['order']:'42'"}).data), [payment.id])
    equal(v1.payment_intents.search({"query": "status:'succeeded'"}).data, [])
    with raises(InvalidRequestError, 400):
        v1.customers.search({"query": "email~~"})


def brackets_may_be_empty():
    """Programs that write their own forms say `a[]`; the SDKs number their lists."""
    headers = {"authorization": f"Bearer {KEY}"}
    price = a_price()

    def call(path, body=None):
        request = urllib.request.Request(JUDGE + path, body and body.encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    session = call(
        "/v1/checkout/sessions",
        "mode=payment&success_url=https%3A%2F%2Fexample.com&expand[]=line_items&payment_method_types[]=card"
        f"&line_items[0][price]={price.id}&line_items[0][quantity]=3&metadata[a%20b]=c+d",
    )
    equal([x["quantity"] for x in session["line_items"]["data"]], [3])
    equal((session["payment_method_types"], session["metadata"]), (["card"], {"a b": "c d"}))
    found = call("/v1/events?types[]=price.created&types%5B%5D=product.created")
    equal([x["type"] for x in found["data"]], ["price.created", "product.created"])
