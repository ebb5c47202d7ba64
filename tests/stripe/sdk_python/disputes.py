"""Disputes, inquiries and early fraud warnings: by card, by hand, and how they end."""

from stripe import InvalidRequestError

from harness import *


def _disputed(card):
    with events() as seen:
        paid = intent(2000, card=card)
        advance(MINUTE)
    holds(paid, status="succeeded")
    return paid, v1.disputes.list({"payment_intent": paid.id}).data, seen


def a_card_is_disputed_after_it_paid():
    for card, reason in {
        "4000000000000259": "fraudulent",
        "4000000000002685": "product_not_received",
        "pm_card_createDispute": "fraudulent",
    }.items():
        paid, disputes, seen = _disputed(card)
        equal(len(disputes), 1, "disputes")
        holds(
            disputes[0], object="dispute", amount=2000, currency="usd", reason=reason, status="needs_response"
        )
        holds(disputes[0], charge=paid.latest_charge, payment_intent=paid.id)
        equal([entry.amount for entry in disputes[0].balance_transactions], [-2000])
        holds(v1.charges.retrieve(paid.latest_charge), disputed=True, refunded=False)
        seen.include("charge.succeeded", "charge.dispute.created", "charge.dispute.funds_withdrawn")
        seen.exclude("charge.dispute.closed")
        assert disputes[0].evidence_details.due_by > now()


def an_inquiry_moves_no_money():
    for card in ("4000000000001976", "pm_card_createDisputeInquiry"):
        paid, disputes, seen = _disputed(card)
        equal([(x.status, x.balance_transactions) for x in disputes], [("warning_needs_response", [])])
        seen.include("charge.dispute.created")
        seen.exclude("charge.dispute.funds_withdrawn")


def a_dispute_that_is_accepted_is_lost():
    _, disputes, _ = _disputed("4000000000000259")
    with events() as seen:
        holds(v1.disputes.close(disputes[0].id), status="lost")
    holds(seen.only("charge.dispute.closed"), id=disputes[0].id, status="lost")
    seen.exclude("charge.dispute.funds_reinstated", "charge.dispute.funds_withdrawn")
    with raises(InvalidRequestError, 400):
        v1.disputes.close(disputes[0].id)


def an_inquiry_is_closed():
    _, disputes, _ = _disputed("4000000000001976")
    with events() as seen:
        sim("POST", f"/disputes/{disputes[0].id}", {"status": "warning_closed"})
    holds(v1.disputes.retrieve(disputes[0].id), status="warning_closed")
    holds(seen.only("charge.dispute.closed"), status="warning_closed")
    seen.exclude("charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated")


def evidence_is_kept():
    _, disputes, _ = _disputed("4000000000000259")
    with events() as seen:
        changed = v1.disputes.update(
            disputes[0].id,
            {"evidence": {"uncategorized_text": "They used it."}, "metadata": {"a": "1"}, "submit": False},
        )
    holds(changed, status="needs_response", metadata={"a": "1"})
    equal((changed.evidence.uncategorized_text, changed.evidence_details.has_evidence), ("They used it.", True))
    seen.include("charge.dispute.updated")


def a_dispute_opened_by_hand_is_won():
    paid = intent(2000, card="4242424242424242")
    with events() as seen:
        sim("POST", "/disputes", {"charge": paid.latest_charge, "amount": 1500, "reason": "duplicate"})
    dispute = v1.disputes.list({"charge": paid.latest_charge}).data[0]
    holds(dispute, amount=1500, reason="duplicate", status="needs_response")
    seen.include("charge.dispute.created", "charge.dispute.funds_withdrawn")
    sim("POST", f"/disputes/{dispute.id}", {"status": "under_review"})
    holds(v1.disputes.retrieve(dispute.id), status="under_review")
    with events() as seen:
        sim("POST", f"/disputes/{dispute.id}", {"status": "won"})
    dispute = v1.disputes.retrieve(dispute.id)
    holds(dispute, status="won")
    equal([entry.amount for entry in dispute.balance_transactions], [-1500, 1500])
    seen.include("charge.dispute.closed", "charge.dispute.funds_reinstated")
    holds(seen.only("charge.dispute.closed"), status="won")


def a_dispute_opened_by_hand_is_lost():
    paid = intent(2000, card="4242424242424242")
    sim("POST", "/disputes", {"charge": paid.latest_charge})
    dispute = v1.disputes.list({"payment_intent": paid.id}).data[0]
    holds(dispute, amount=2000, status="needs_response")
    with events() as seen:
        sim("POST", f"/disputes/{dispute.id}", {"status": "lost"})
    holds(seen.only("charge.dispute.closed"), status="lost")
    seen.exclude("charge.dispute.funds_reinstated")


def an_inquiry_opened_by_hand_may_become_a_dispute():
    paid = intent(2000, card="4242424242424242")
    with events() as seen:
        sim("POST", "/disputes", {"charge": paid.latest_charge, "inquiry": True})
    dispute = v1.disputes.list({"payment_intent": paid.id}).data[0]
    holds(dispute, status="warning_needs_response", balance_transactions=[])
    seen.exclude("charge.dispute.funds_withdrawn")
    with events() as seen:
        sim("POST", f"/disputes/{dispute.id}", {"status": "needs_response"})
    dispute = v1.disputes.retrieve(dispute.id)
    equal([entry.amount for entry in dispute.balance_transactions], [-2000])
    seen.include("charge.dispute.funds_withdrawn")


def a_partly_refunded_charge_may_be_disputed():
    paid = intent(2000, card="4242424242424242")
    v1.refunds.create({"payment_intent": paid.id, "amount": 500})
    sim("POST", "/disputes", {"charge": paid.latest_charge, "amount": 1500})
    holds(v1.charges.retrieve(paid.latest_charge), disputed=True, amount_refunded=500)


def a_disputed_charge_is_not_refunded():
    paid, _, _ = _disputed("4000000000000259")
    with raises(InvalidRequestError, 400, "charge_disputed"):
        v1.refunds.create({"payment_intent": paid.id})


def radar_warns_early():
    with events() as seen:
        paid = intent(2000, card="4000000000005423")
        advance(MINUTE)
    warnings = v1.radar.early_fraud_warnings.list({"charge": paid.latest_charge}).data
    equal(len(warnings), 1, "warnings")
    holds(warnings[0], object="radar.early_fraud_warning", charge=paid.latest_charge, actionable=True)
    holds(v1.radar.early_fraud_warnings.retrieve(warnings[0].id), payment_intent=paid.id)
    seen.include("radar.early_fraud_warning.created")


def radar_warns_by_hand():
    paid = intent(2000, card="4242424242424242")
    with events() as seen:
        sim("POST", "/early_fraud_warnings", {"charge": paid.latest_charge})
    holds(seen.only("radar.early_fraud_warning.created"), charge=paid.latest_charge)
    equal(len(v1.radar.early_fraud_warnings.list({"payment_intent": paid.id}).data), 1)
