"""Invoices: the shapes since 2025-03-31, one made by hand through its life, previews, what paid them."""

from stripe import CardError, InvalidRequestError

from harness import *


def _invoice(customer, *amounts, **more):
    for amount in amounts:
        v1.invoice_items.create(
            {"customer": customer.id, "amount": amount, "currency": "usd", "description": "work"}
        )
    params = {"customer": customer.id, "pending_invoice_items_behavior": "include", **more}
    return v1.invoices.create(params)


def _subscribed(**more):
    customer, price = a_customer("4242424242424242"), a_price(1000, interval="month")
    return price, v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}], **more})


def an_invoice_says_what_it_is_for():
    price, subscription = _subscribed(metadata={"plan": "pro"})
    invoice = latest_invoice(subscription)
    equal(invoice.parent.type, "subscription_details")
    equal(invoice.parent.subscription_details.subscription, subscription.id)
    equal(plain(invoice.parent.subscription_details.metadata), {"plan": "pro"})
    equal(len(invoice.lines.data), 1)
    line = invoice.lines.data[0]
    equal(line.parent.type, "subscription_item_details")
    details = line.parent.subscription_item_details
    item = subscription["items"].data[0]
    equal(
        (details.subscription, details.subscription_item, details.proration), (subscription.id, item.id, False)
    )
    equal(line.pricing.type, "price_details")
    equal((line.pricing.price_details.price, line.pricing.price_details.product), (price.id, price.product))
    equal((line.period.start, line.period.end), (now(), after_months(now(), 1)))
    equal((line.amount, line.currency, line.quantity), (1000, "usd", 1))
    equal((item.current_period_start, item.current_period_end), (line.period.start, line.period.end))


def what_older_versions_had_is_gone():
    _, subscription = _subscribed()
    invoice = plain(latest_invoice(subscription))
    gone = {
        "subscription",
        "subscription_details",
        "charge",
        "payment_intent",
        "paid",
        "paid_out_of_band",
        "discount",
        "tax",
    }
    equal(gone & set(invoice), set())
    gone = {"price", "plan", "type", "proration", "subscription_item"}
    equal(gone & set(invoice["lines"]["data"][0]), set())
    gone = {"current_period_start", "current_period_end", "plan", "discount"}
    equal(gone & set(plain(subscription)), set())
    payment = v1.invoice_payments.list({"invoice": invoice["id"]}).data[0].payment.payment_intent
    equal({"invoice", "charges"} & set(plain(v1.payment_intents.retrieve(payment))), set())
    charge = plain(v1.charges.retrieve(v1.payment_intents.retrieve(payment).latest_charge))
    equal({"invoice", "refunds"} & set(charge), set())


def a_payment_leads_to_its_invoice():
    _, subscription = _subscribed()
    paid = v1.invoice_payments.list({"invoice": subscription.latest_invoice}).data
    equal(len(paid), 1)
    holds(
        paid[0], object="invoice_payment", status="paid", amount_paid=1000, invoice=subscription.latest_invoice
    )
    equal(paid[0].payment.type, "payment_intent")
    payment = paid[0].payment.payment_intent
    holds(v1.payment_intents.retrieve(payment), status="succeeded", amount=1000)
    by_payment = v1.invoice_payments.list(
        {"payment": {"type": "payment_intent", "payment_intent": payment}}
    ).data
    equal([x.id for x in by_payment], [paid[0].id])
    holds(v1.invoice_payments.retrieve(paid[0].id), invoice=subscription.latest_invoice)
    expanded = v1.invoices.retrieve(subscription.latest_invoice, {"expand": ["payments"]})
    equal([x.id for x in expanded.payments.data], [paid[0].id])
    assert "payments" not in plain(v1.invoices.retrieve(subscription.latest_invoice)), "only when asked for"
    unrelated = intent(card="4242424242424242")
    query = {"payment": {"type": "payment_intent", "payment_intent": unrelated.id}}
    equal(v1.invoice_payments.list(query).data, [])


def an_invoice_is_made_by_hand_and_paid():
    customer = a_customer("4242424242424242")
    with events() as seen:
        invoice = _invoice(customer, 1500, 500, description="made by hand")
        holds(invoice, object="invoice", status="draft", total=2000, billing_reason="manual", parent=None)
        invoice = v1.invoices.update(invoice.id, {"metadata": {"a": "1"}})
        invoice = v1.invoices.finalize_invoice(invoice.id, {"auto_advance": False})
        holds(invoice, status="open", amount_due=2000, amount_remaining=2000, metadata={"a": "1"})
        assert invoice.number and invoice.hosted_invoice_url, plain(invoice)
        paid = v1.invoices.pay(invoice.id)
        holds(paid, status="paid", amount_paid=2000, amount_remaining=0)
    seen.include("invoiceitem.created", "invoice.created", "invoice.updated", "invoice.finalized")
    seen.include("invoice.paid", "invoice.payment_succeeded", "payment_intent.succeeded")
    equal(sorted(x.amount for x in v1.invoices.line_items.list(invoice.id).data), [500, 1500])
    equal({x.parent.type for x in paid.lines.data}, {"invoice_item_details"})
    equal([x.id for x in v1.invoices.list({"customer": customer.id, "status": "paid"}).data], [invoice.id])
    equal(v1.invoices.list({"status": "open"}).data, [])
    with urllib.request.urlopen(paid.hosted_invoice_url, timeout=10) as page:
        equal(page.status, 200)
    for again in (v1.invoices.pay, v1.invoices.void_invoice, v1.invoices.delete):
        with raises(InvalidRequestError, 400):
            again(invoice.id)


def a_draft_is_finalized_by_time():
    invoice = _invoice(a_customer("4242424242424242"), 1500, auto_advance=True)
    with events() as seen:
        advance(2 * HOUR)
    holds(v1.invoices.retrieve(invoice.id), status="paid")
    seen.include("invoice.finalized", "invoice.paid")


def a_draft_that_does_not_advance_stays():
    invoice = _invoice(a_customer("4242424242424242"), 1500, auto_advance=False)
    advance(3 * DAY)
    holds(v1.invoices.retrieve(invoice.id), status="draft")


def a_draft_is_deleted():
    customer = a_customer()
    invoice = _invoice(customer, 1500)
    with events() as seen:
        holds(v1.invoices.delete(invoice.id), id=invoice.id, deleted=True)
    seen.include("invoice.deleted")
    with raises(InvalidRequestError, 404, "resource_missing"):
        v1.invoices.retrieve(invoice.id)


def an_invoice_is_voided():
    invoice = v1.invoices.finalize_invoice(_invoice(a_customer(), 1500, auto_advance=False).id)
    with events() as seen:
        holds(v1.invoices.void_invoice(invoice.id), status="void")
    seen.include("invoice.voided")
    with raises(InvalidRequestError, 400):
        v1.invoices.pay(invoice.id)


def an_invoice_is_given_up_and_paid_after_all():
    customer = a_customer("4242424242424242")
    invoice = v1.invoices.finalize_invoice(_invoice(customer, 1500, auto_advance=False).id)
    with events() as seen:
        holds(v1.invoices.mark_uncollectible(invoice.id), status="uncollectible")
    seen.include("invoice.marked_uncollectible")
    holds(v1.invoices.pay(invoice.id), status="paid")


def an_invoice_is_sent():
    with events() as seen:
        invoice = _invoice(a_customer(), 1500, collection_method="send_invoice", days_until_due=7)
        sent = v1.invoices.send_invoice(invoice.id)
    holds(sent, status="open", collection_method="send_invoice")
    equal(sent.due_date, now() + 7 * DAY)
    seen.include("invoice.finalized", "invoice.sent")


def an_invoice_is_paid_elsewhere():
    invoice = v1.invoices.finalize_invoice(_invoice(a_customer(), 1500, auto_advance=False).id)
    with events() as seen:
        holds(v1.invoices.pay(invoice.id, {"paid_out_of_band": True}), status="paid")
    seen.include("invoice.paid")
    seen.exclude("invoice.payment_succeeded", "charge.succeeded")


def a_card_that_is_declined_leaves_the_invoice_open():
    customer = a_customer("4000000000000341")
    invoice = v1.invoices.finalize_invoice(_invoice(customer, 1500, auto_advance=False).id)
    with events() as seen, raises(CardError, 402, "card_declined"):
        v1.invoices.pay(invoice.id)
    holds(v1.invoices.retrieve(invoice.id), status="open", attempted=True, amount_paid=0)
    seen.include("invoice.payment_failed")
    card = v1.payment_methods.attach(a_card().id, {"customer": customer.id})
    holds(v1.invoices.pay(invoice.id, {"payment_method": card.id}), status="paid")


def an_invoice_that_needs_the_bank_says_so():
    customer = a_customer()
    card = v1.payment_methods.attach("pm_card_threeDSecure2Required", {"customer": customer.id})
    invoice = v1.invoices.finalize_invoice(_invoice(customer, 1500, auto_advance=False).id)
    with events() as seen, raises(CardError, 402):
        v1.invoices.pay(invoice.id, {"payment_method": card.id})
    holds(v1.invoices.retrieve(invoice.id), status="open")
    seen.include("invoice.payment_action_required")


def invoice_items_wait_and_are_deleted():
    customer = a_customer()
    first, second = (
        v1.invoice_items.create({"customer": customer.id, "amount": n, "currency": "usd"}) for n in (100, 200)
    )
    holds(
        v1.invoice_items.retrieve(first.id),
        object="invoiceitem",
        amount=100,
        customer=customer.id,
        invoice=None,
    )
    equal([x.id for x in v1.invoice_items.list({"customer": customer.id}).data], [second.id, first.id])
    with events() as seen:
        holds(v1.invoice_items.delete(first.id), id=first.id, deleted=True)
    seen.include("invoiceitem.deleted")
    holds(_invoice(customer), total=200)


def an_empty_invoice_is_paid_at_once():
    invoice = v1.invoices.create({"customer": a_customer().id})
    holds(invoice, status="draft", total=0)
    holds(v1.invoices.finalize_invoice(invoice.id), status="paid", amount_due=0)


def the_next_invoice_is_previewed():
    price, subscription = _subscribed()
    before = len(v1.invoices.list().data)
    end = subscription["items"].data[0].current_period_end
    preview = v1.invoices.create_preview({"subscription": subscription.id})
    holds(preview, object="invoice", total=1000, billing_reason="upcoming")
    equal(preview.lines.data[0].period.start, end)
    large = a_price(2500, interval="month", product=price.product)
    advance(DAY)
    preview = v1.invoices.create_preview(
        {
            "subscription": subscription.id,
            "subscription_details": {
                "items": [{"id": subscription["items"].data[0].id, "price": large.id}],
                "proration_behavior": "create_prorations",
            },
        }
    )
    prorations = [x.amount for x in preview.lines.data if x.amount != 2500]
    left = (end - now()) / (end - subscription.billing_cycle_anchor)
    for amount, exact in zip(sorted(prorations), (-1000 * left, 2500 * left)):
        assert abs(amount - exact) <= 0.5, f"{amount} is not {exact}"
    equal(preview.total, 2500 + sum(prorations))
    equal(len(v1.invoices.list().data), before, "a preview makes nothing:")
    equal(v1.subscriptions.retrieve(subscription.id)["items"].data[0].price.id, price.id)
