"""The simulator's own controls, as its README promises them: seed, clock, snapshot, counts."""

from harness import *


def the_same_seed_and_calls_give_the_same_ids():
    def ids(seed):
        sim("POST", "/reset", {"seed": seed})
        return [v1.customers.create({}).id, intent(card="pm_card_visa").id, a_session().id]

    first = ids(7)
    equal(ids(7), first)
    assert not set(first) & set(ids(8)), "another seed gives other ids"


def a_reset_forgets_everything():
    a_customer("4242424242424242")
    v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]})
    start_over()
    for service in (v1.customers, v1.events, v1.webhook_endpoints, v1.charges):
        equal(service.list().data, [])


def the_clock_is_told_and_never_goes_back():
    clock = sim("GET", "/clock")
    equal(clock["frozen"], True)
    session = a_session()
    moved = sim("POST", "/clock", {"advance": 2 * DAY})
    equal((moved["now"], moved["frozen"]), (clock["now"] + 2 * DAY, True))
    expired = [x for x in moved["happened"] if x["object"] == session.id]
    equal([x["at"] for x in expired], [session.expires_at], "what fell due, when it did:")
    for back in ({"to": clock["now"]}, {"advance": -1}):
        try:
            sim("POST", "/clock", back)
        except AssertionError:
            continue
        raise AssertionError(f"the clock took {back}")
    equal(now(), clock["now"] + 2 * DAY)
    equal(v1.customers.create({}).created, now())


def what_falls_due_happens_in_order():
    v1.subscriptions.create(
        {
            "customer": a_customer("4242424242424242").id,
            "items": [{"price": a_price(interval="month").id}],
        }
    )
    a_session()
    happened = advance(100 * DAY)
    moments = [x["at"] for x in happened]
    assert len(moments) >= 4, happened
    equal(moments, sorted(moments))
    created = [event.created for event in v1.events.list({"limit": 100}).data]
    equal(created, sorted(created, reverse=True))


def the_state_is_shown():
    told = sim("GET", "")
    equal(told["seed"], 7)
    assert told.keys() >= {"seed"} and json.dumps(told).count(":") > 5, told
    v1.customers.create({"name": "Somebody Special"})
    assert "Somebody Special" in json.dumps(sim("GET", "/snapshot"))


def deliveries_settle_when_there_are_none():
    equal(sim("POST", "/settle", {"timeout_ms": 1000}), {"settled": True})
