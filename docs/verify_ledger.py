#!/usr/bin/env python3
"""Verifies exported ledgers: a second opinion that shares no code with the service.

    LEDGER_CHAIN_KEYS=id:secret verify_ledger.py ledger.jsonl
    verify_ledger.py --key-file ledger.db.keys --checkpoint FILE --public-key HEX ledger.jsonl

Python 3.11 and nothing else; written from docs/AUDIT.md and token-service/README.md. It prints a line per
finding, then `FILE: ok` or how many there are. Exit code: 0 all is well, 1 findings, 2 wrong usage.
"""

import argparse
import hashlib
import hmac
import json
import os
import re
import sys
from collections import Counter, defaultdict, namedtuple
from contextlib import contextmanager
from datetime import datetime, timedelta
from operator import attrgetter

# Per table its key, then its columns: N numbers, T text, Xn bytes as n hexadecimal digits (X: 16 for each
# field of a fingerprint), with `?` where null is allowed.
TABLES = {
    "chain_keys": ("key_id", "key_id:T check_code:X64"),
    "commits": ("position", "position:N entries:T"),
    "transactions": ("transaction_id account_id", """account_id:T transaction_id:X32 idempotency_key:T
        type:T create_time:N amount:N action:T? quantity:N entitlement_source:T? entitled_quantity:N
        entitlement_period:N? entitlement_counted:N related_id:X32? description:T reference:T metadata:T?
        actor:T on_behalf_of:T fingerprint:X sequence:N others:T?"""),
    "accounts": ("account_id", """account_id:T status:T sequence:N posted:N held:N due_time:N?
        create_time:N update_time:N chain_key:T chain:X64 body:T"""),
    "entries": ("account_id sequence", """account_id:T sequence:N owner_id:T? transaction_id:X32
        create_time:N amount:N held_delta:N balance_after:N held_after:N counter_account:T split_account:T?
        split_amount:N changes:T chain_key:T chain:X64"""),
    "grants": ("account_id grant_id", "account_id:T grant_id:X32 open:N body:T"),
    "holds": ("account_id hold_id", "account_id:T hold_id:X32 state:T body:T"),
    "reversals": ("account_id transaction_id", "account_id:T transaction_id:X32 reversed:N complete:N"),
    "clawbacks": ("account_id transaction_id", "account_id:T transaction_id:X32 body:T"),
}
KEYS = {table: attrgetter(*key.split()) for table, (key, _) in TABLES.items()}
COLUMNS = {table: [it.split(":") for it in columns.split()] for table, (_, columns) in TABLES.items()}
ROWS = {table: namedtuple(table, [name for name, _ in columns]) for table, columns in COLUMNS.items()}

SYSTEM = {"sys/issuance", "sys/usage", "sys/expiry", "sys/clawback", "sys/payouts", "sys/fees"}
# By type: our side of the owner's entry, and by how many times its amount a transaction changes the owner's
# balance and held tokens. Where that depends on more than the amount (None), the changes alone judge.
TYPES = {
    "credit": ("sys/issuance", None, 0), "activation": ("sys/issuance", 1, 0),
    "entitlement": ("sys/issuance", 0, 0), "account_change": ("sys/issuance", 0, 0),
    "debit": ("sys/usage", -1, 0), "hold": ("sys/usage", 0, 1), "capture": ("sys/usage", -1, None),
    "release": ("sys/usage", 0, -1), "hold_expiry": ("sys/usage", 0, -1),
    "grant_expiry": ("sys/expiry", -1, 0), "expiry_notice": ("sys/expiry", 0, 0),
    "withdrawal": ("sys/payouts", -1, 0), "clawback": ("sys/clawback", None, 0),
    "transfer": (None, -1, 0), "reversal": (None, None, 0),
}
DAY = 86_400_000_000
UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Findings:
    """What doesn't fit is told at once, and counted."""

    def __init__(self):
        self.count = 0

    def add(self, message, account=None, number=None):
        self.count += 1
        place = f"account {account}, " * (account is not None) + f"entry {number}, " * (number is not None)
        print(f"{place[:-2]}: {message}" if place else message)

    @contextmanager
    def reading(self, what, account=None, number=None):
        """Whoever tampered may have left anything anywhere: what can't be read is a finding, too."""
        try:
            yield
        except UNREADABLE as error:
            self.add(f"{what} can't be read: {type(error).__name__} {str(error)[:200]}", account, number)


# ---- The export ----


class Ledger:
    """The rows of an export: by table and key, and by table and account."""

    def __init__(self, lines, findings):
        self.epoch, self.position = None, 0
        self.rows = {table: {} for table in TABLES}
        self.of = {table: defaultdict(list) for table in TABLES}
        for number, line in enumerate(lines, 1):
            with findings.reading(f"line {number}"):
                self.read(json.loads(str(line, "utf-8")), number == 1)
        if self.epoch is None:
            findings.add("there is no header")

    def read(self, line, first):
        if first:
            if line["format"] != "token-ledger-export/1":
                raise ValueError("not a format that is known")
            self.epoch, self.position = fitting("T", line["epoch"]), fitting("N", line["position"])
            return
        table, values = line["table"], line["row"]
        for column, kind in COLUMNS[table]:
            fitting(kind, values[column])
        row = ROWS[table](**values)
        rows, key = self.rows[table], KEYS[table](row)
        if rows and key <= next(reversed(rows)):
            raise ValueError(f"{table} {key} isn't after the row before")
        rows[key] = row
        self.of[table][getattr(row, "account_id", None)].append(row)

    def transaction(self, entry):
        owner = entry.account_id if entry.owner_id is None else entry.owner_id
        return self.rows["transactions"].get((entry.transaction_id, owner))


def fitting(kind, value):
    """The value, if a column of this kind can hold it."""
    if value is None and kind[-1] == "?":
        return value
    fits = type(value) is (int if kind[0] == "N" else str)
    if fits and kind[0] == "X":
        digits = kind[1:].rstrip("?")
        fits = (len(value) == int(digits) if digits else len(value) % 16 == 0) and not UNLIKE_HEX(value)
    if not fits:
        raise ValueError(f"{str(value)[:80]!r} isn't what such a column holds")
    return value


UNLIKE_HEX = re.compile("[^0-9a-f]").search


def uuid(digits):
    """An id as JSON texts have it, with dashes."""
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


# ---- The chain ----


def netstring(value):
    if value is None:
        return b"-,"
    data = str(value).encode("utf-8", "surrogatepass")
    return b"%d:%b," % (len(data), data)


def link(secret, previous, e, t):
    """The code that a key gives an entry with its transaction: the fields of docs/AUDIT.md in order."""
    entitled, period = t.entitlement_source is not None, t.entitlement_period
    metadata = sorted(json.loads(t.metadata or "{}").items())
    fields = [
        previous, e.chain_key, e.account_id, e.sequence, e.amount, e.held_delta, e.balance_after,
        e.held_after, e.counter_account, e.split_account, 0 if e.split_account is None else e.split_amount,
        e.changes, t.account_id, t.transaction_id, t.idempotency_key, t.type, t.create_time, t.amount,
        t.action, t.quantity, t.entitlement_source, t.entitled_quantity if entitled else 0,
        period if entitled and period is not None else -1, t.entitlement_counted if entitled else 0,
        t.related_id, t.description, t.reference, len(metadata),
    ]
    for key, value in metadata:
        fields += [key, fitting("T", value)]
    fields += [t.actor, t.on_behalf_of, len(t.fingerprint) // 16]
    for at in range(0, len(t.fingerprint), 16):
        fields += [int(t.fingerprint[at : at + 2], 16), t.fingerprint[at + 2 : at + 16]]
    return hmac.digest(secret, b"".join(map(netstring, fields)), "sha256").hex()


def check_keys(ledger, secrets, findings):
    """Is every key known, and are these its secrets? Gives those that links can be checked with."""
    table = ledger.rows["chain_keys"]
    used = {e.chain_key: (e.account_id, e.sequence) for e in reversed(ledger.rows["entries"].values())}
    for key_id in sorted(used.keys() - table.keys()):
        findings.add(f"chain key {key_id!r}, first used here, isn't in chain_keys", *used[key_id])
    if secrets is None:
        return {}
    for key_id in sorted((used.keys() | table.keys()) - secrets.keys()):
        findings.add(f"no secret was given for chain key {key_id!r}: what it signed isn't checked")
    codes = {key_id: hmac.digest(secret, b"chain key", "sha256").hex() for key_id, secret in secrets.items()}
    wrong = {key_id for key_id, row in table.items() if codes.get(key_id, row.check_code) != row.check_code}
    for key_id in sorted(wrong):
        findings.add(f"the secret of chain key {key_id!r} isn't the one in chain_keys")
    return {key_id: secret for key_id, secret in secrets.items() if key_id not in wrong}


# ---- Accounts ----


class Account:
    """An account is the fold of its entries' changes; `wrong` is told of those that can't be."""

    def __init__(self, wrong):
        self.wrong = wrong
        self.posted = self.held = self.debt = 0
        self.status, self.settings, self.spending = "active", {}, None
        self.grants, self.holds, self.ended, self.clawbacks, self.entitlements = {}, {}, {}, {}, {}
        self.totals = Counter()  # figures by their names in the account's row

    def fold(self, entry, transaction):
        self.entry, self.transaction, self.now = entry, transaction, transaction.create_time
        posted, held = self.posted, self.held
        for change in json.loads(entry.changes):
            self.apply(change)
        moved = (self.posted - posted, self.held - held)
        if moved != (entry.amount, entry.held_delta):
            self.wrong(f"its changes move {moved} posted and held, it says {entry.amount, entry.held_delta}")
        if entry.counter_account == "sys/usage":
            self.totals["spent"] -= entry.amount
        elif entry.owner_id is not None and entry.counter_account not in SYSTEM:
            self.totals["earned"] += entry.amount

    def apply(self, change):
        ((_, _),) = change.items()
        match change:
            case {"open": grant}: self.open(grant)
            case {"draw": draw}: self.draw(draw)
            case {"restore": draw}: self.restore(draw)
            case {"repay": draw}: self.take(draw), self.owe(-draw["amount"])
            case {"owe": int(tokens)}: self.owe(tokens)
            case {"activate": grant}: self.activate(self.grants[grant])
            case {"end": grant}: self.end(self.grants[grant])
            case {"hold": hold}: self.hold(hold)
            case {"unhold": {"hold": id, "captured": draws, "state": state}}: self.unhold(id, draws, state)
            case {"unspend": {"amount": int(tokens), "spent": int(time)}}: self.spend(-tokens, time)
            case {"use": {"action": action, "entitled": entitled}}: self.use(action, entitled)
            case {"entitle": entitlement}: self.entitle(entitlement)
            case {"clawback": clawback}: self.clawbacks[clawback["credit"]] = clawback
            case {"status": status}: self.change("status", status)
            case {"settings": settings}: self.change("settings", settings)
            case {"notice": {"grant": grant, "days_left": days}}: self.notice(grant, days)
            case _: raise ValueError(f"unknown change {str(change)[:80]}")

    def open(self, grant):
        t, kind, tokens = self.transaction, grant["kind"], grant["amount"]
        fresh = tokens - grant.get("carried", 0)
        self.made_here(grant)
        if not 0 < tokens == grant["remaining"] or (t.type == "credit" and fresh != t.amount):
            self.wrong(f"credits {t.amount} tokens and makes a grant of {fresh}")
        self.grants[grant["id"]] = dict(grant)
        self.posted += 0 if "scheduled" in grant else tokens
        if self.status == "closed":
            self.change("status", "active")
        self.totals["received"] += fresh
        self.totals["purchased"] += fresh * (kind == "purchased")
        self.totals["tried"] |= kind == "trial"
        paid = grant.get("cost", {}).get("amount_minor", 0) > 0
        self.totals["bought"] |= paid or kind in ("purchased", "allowance")

    def made_here(self, it):
        """A grant or a hold has the id and the time of the transaction that made it."""
        made = (uuid(self.transaction.transaction_id), self.entry.sequence, self.now)
        if (it["id"], it["sequence"], it["created"]) != made:
            self.wrong(f"makes {it['id']}, which isn't its own")

    def change(self, field, value):
        setattr(self, field, value)
        self.totals["version"] += 1

    def activate(self, grant):
        del grant["scheduled"]
        self.posted += grant["remaining"]

    def end(self, grant):
        grant["expire"] = min(self.now, grant.get("expire", self.now))

    def notice(self, told, days):
        grant = self.grants[told["id"]]
        if told != grant:
            self.wrong(f"tells of grant {told['id']} what isn't so")
        grant["noticed"] = days

    def draw(self, draw):
        t = self.transaction
        self.take(draw)
        if t.type in ("debit", "transfer"):
            self.spend(draw["amount"], self.now)
        if t.type == "reversal" and draw["kind"] == "purchased" and draw["grant"] == uuid(t.related_id):
            self.totals["purchased"] -= draw["amount"]

    def take(self, draw, reserved=None):
        """Takes tokens from a grant: of those that no hold reserves, or that this one did."""
        grant, tokens = self.grants[draw["grant"]], draw["amount"]
        there = grant["remaining"] - grant.get("held", 0) if reserved is None else reserved
        if not 0 < tokens <= there or draw["kind"] != grant["kind"]:
            self.wrong(f"takes {tokens} {draw['kind']} of {there} {grant['kind']} tokens in {grant['id']}")
        grant["remaining"] -= tokens
        self.posted -= 0 if "scheduled" in grant else tokens

    def restore(self, draw):
        grant, tokens = self.grants[draw["grant"]], draw["amount"]
        if tokens <= 0 or draw["kind"] != grant["kind"]:
            self.wrong(f"returns {tokens} {draw['kind']} tokens to {grant['kind']} grant {grant['id']}")
        if grant.get("scheduled", self.now + 1) <= self.now:
            self.activate(grant)  # its time came while there was nothing in it
        grant["remaining"] += tokens
        self.posted += 0 if "scheduled" in grant else tokens

    def owe(self, tokens):
        self.debt += tokens
        self.posted -= tokens
        if self.debt < 0:
            self.wrong(f"brings the debt to {self.debt}")

    def hold(self, hold):
        self.made_here(hold)
        self.holds[hold["id"]] = dict(hold)
        for draw in hold["draws"]:
            grant = self.reserve(draw, draw["amount"])
            if not 0 < draw["amount"] <= grant["held"] <= grant["remaining"] or "scheduled" in grant:
                self.wrong(f"reserves {draw['amount']} tokens that aren't free in grant {grant['id']}")
        self.spend(sum(draw["amount"] for draw in hold["draws"]), self.now)

    def unhold(self, hold_id, captured, state):
        hold = self.holds.pop(hold_id)
        reserved = {draw["grant"]: draw["amount"] for draw in hold["draws"]}
        for draw in hold["draws"]:
            self.reserve(draw, -draw["amount"])
        for draw in captured:
            self.take(draw, reserved.pop(draw["grant"]))
        tokens = sum(draw["amount"] for draw in captured)
        self.ended[hold_id] = hold | {"state": state, "captured": tokens}
        self.spend(tokens - sum(draw["amount"] for draw in hold["draws"]), hold["created"])

    def reserve(self, draw, tokens):
        grant = self.grants[draw["grant"]]
        grant["held"] = grant.get("held", 0) + tokens
        self.held += tokens
        if not grant["held"]:
            del grant["held"]
        return grant

    def spend(self, tokens, time):
        """Tokens spent at `time` count towards the caps if that is in the day, or month, of now."""
        before = self.spending or {"at": self.now, "day": 0, "month": 0}
        self.spending = {"at": self.now}
        for period, of in (("day", lambda time: time // DAY), ("month", month)):
            kept = before[period] if of(before["at"]) == of(self.now) else 0
            self.spending[period] = kept + tokens if of(time) == of(self.now) else kept

    def use(self, action, entitled):
        """Units count, or come back, while the entitlement is in the same period."""
        entitlement = self.entitlements.get(entitled["source"], {})
        if entitlement and entitlement.get("period") == entitled.get("period"):
            used = entitlement.setdefault("used", {})
            used[action] = max(used.get(action, 0) + entitled["quantity"], 0)

    def entitle(self, entitlement):
        before = self.entitlements.get(entitlement["source"], {})
        kept = "used" in before and before.get("period") == entitlement.get("period")
        self.entitlements[entitlement["source"]] = entitlement | ({"used": before["used"]} if kept else {})
        self.totals["bought"] = 1

    def due_time(self):
        """When something lapses, becomes effective or is to be told next."""
        times = [hold["expire"] for hold in self.holds.values()]
        for grant in self.grants.values():
            if grant["remaining"] and "scheduled" in grant:
                times.append(grant["scheduled"])
            elif "expire" in grant and grant["remaining"] > grant.get("held", 0):
                times.append(notice_time(grant) or grant["expire"])
        return min(times, default=None)


def notice_time(grant):
    """When the next notice of a grant's expiry is due: 30, 7 and 1 days before, if it was there by then."""
    there = grant.get("effective", grant["created"])
    times = {days: grant["expire"] - days * DAY for days in (30, 7, 1) if days < grant.get("noticed", 31)}
    return next((time for time in times.values() if there < time), None)


def month(time):
    date = datetime(1970, 1, 1) + timedelta(microseconds=time)
    return date.year, date.month


def check_account(ledger, name, secrets, reversals, findings):
    """Follows an account's entries from the first, then holds what they come to against its rows."""
    def wrong(message):
        findings.add(message, name, number)

    number, account, whole = None, Account(wrong), True
    balance, held, chain, time = 0, 0, "0" * 64, 0
    for count, e in enumerate(ledger.of["entries"][name], 1):
        number, t = e.sequence, ledger.transaction(e)
        if number != count:
            wrong(f"number {count} should come here; what follows isn't looked at")
            return
        if balance + e.amount != e.balance_after:
            wrong(f"the balance is {e.balance_after} after {balance} {e.amount:+}")
        if held + e.held_delta != e.held_after:
            wrong(f"held is {e.held_after} after {held} {e.held_delta:+}")
        if e.create_time < time:
            wrong("it is older than the entry before")
        if t and e.chain_key in secrets:
            with findings.reading("what is signed", name, number):
                if link(secrets[e.chain_key], chain, e, t) != e.chain:
                    wrong("the chain is broken: it, its transaction or the link before isn't as signed")
        balance, held, chain, time = e.balance_after, e.held_after, e.chain, e.create_time
        whole, before = False, whole
        with findings.reading("its changes or its transaction", name, number):
            account.fold(e, t)
            whole = before
    number = None
    if not ledger.of["accounts"][name] or not ledger.of["entries"][name]:
        wrong("there are rows about it, but none in accounts, or no entries")
    elif whole:  # else what its rows should be can't be known
        with findings.reading("its rows", name):
            check_rows(ledger, name, account, reversals, wrong)


def check_rows(ledger, name, account, reversals, wrong):
    stored, folded = {}, dict(folded_rows(ledger, name, account, reversals))
    for what, value in stored_rows(ledger, name):
        if what in stored:
            wrong(f"{what} is in two places")
        stored[what] = value
    for what in sorted(stored.keys() | folded.keys()):
        there, due = (json.dumps(rows.get(what), sort_keys=True) for rows in (stored, folded))
        if there != due:
            at = max(len(os.path.commonprefix((there, due))) - 40, 0)
            wrong(f"{what}: there is …{there[at : at + 100]}…, its entries say …{due[at : at + 100]}…")


def stored_rows(ledger, name):
    """What the tables say of an account, piece by piece; of grants also whether they are open."""
    (row,) = ledger.of["accounts"][name]
    body = json.loads(row.body)
    yield from ((f"column {column}", value) for column, value in row._asdict().items() if column != "body")
    fields = {field: value for field, value in body.items() if value and field not in ("grants", "holds")}
    yield from ((f"field {field}", value) for field, value in fields.items())
    yield from ((f"grant {grant['id']}", [1, grant]) for grant in body.get("grants", []))
    yield from ((f"hold {hold['id']}", [None, hold]) for hold in body.get("holds", []))
    for row in ledger.of["grants"][name]:
        yield f"grant {uuid(row.grant_id)}", [row.open, json.loads(row.body)]
    for row in ledger.of["holds"][name]:
        yield f"hold {uuid(row.hold_id)}", [row.state, json.loads(row.body)]
    for row in ledger.of["reversals"][name]:
        yield f"reversal of {uuid(row.transaction_id)}", [row.reversed, row.complete]
    for row in ledger.of["clawbacks"][name]:
        yield f"clawback of {uuid(row.transaction_id)}", json.loads(row.body)


def folded_rows(ledger, name, account, reversals):
    """The same as the entries say it should be."""
    first, newest = ledger.of["entries"][name][0], ledger.of["entries"][name][-1]
    columns = {
        "account_id": name, "status": account.status, "sequence": newest.sequence, "posted": account.posted,
        "held": account.held, "due_time": account.due_time(), "create_time": first.create_time,
        "update_time": newest.create_time, "chain_key": newest.chain_key, "chain": newest.chain,
    }
    fields = account.totals | {
        "entitlements": list(account.entitlements.values()), "settings": account.settings,
        "spending": account.spending, "debt": account.debt, "spilled": spilled(ledger, name),
        "tried": bool(account.totals["tried"]), "bought": bool(account.totals["bought"]),
    }
    yield from ((f"column {column}", value) for column, value in columns.items())
    yield from ((f"field {field}", value) for field, value in fields.items() if value)
    yield from ((f"grant {id}", [int(it["remaining"] > 0), it]) for id, it in account.grants.items())
    yield from ((f"hold {id}", [None, hold]) for id, hold in account.holds.items())
    yield from ((f"hold {id}", [hold["state"], hold]) for id, hold in account.ended.items())
    yield from ((f"reversal of {uuid(id)}", amounts) for id, amounts in reversals[name].items())
    yield from ((f"clawback of {id}", clawback) for id, clawback in account.clawbacks.items())


def spilled(ledger, name):
    """What a row should say of the open grants that are too many for it: sums, and what is due."""
    grants = [json.loads(row.body) for row in ledger.of["grants"][name] if row.open]
    lapsing = [grant for grant in grants if "expire" in grant and "scheduled" not in grant]
    expire = min((grant["expire"] for grant in lapsing), default=None)
    amount = sum(grant["remaining"] for grant in lapsing if grant["expire"] == expire)
    kinds = defaultdict(Counter)
    for grant in grants:
        use = "scheduled" if "scheduled" in grant else "bound" if grant.get("actions") else "free"
        kinds[grant["kind"]][use] += grant["remaining"]
    # Which of them burns first is for the catalog to say, and that isn't in the export.
    stored = json.loads(ledger.of["accounts"][name][0].body).get("spilled", {})
    summary = {
        "count": len(grants), "kinds": kinds, "order": stored.get("order"),
        "first": stored.get("first") in grants and stored["first"],
        "activates": min((grant["scheduled"] for grant in grants if "scheduled" in grant), default=None),
        "expires": lapsing and [expire, amount],
        "notice": min(filter(None, map(notice_time, lapsing)), default=None),
    }
    return {field: value for field, value in summary.items() if value} if grants else None


# ---- Transactions, and the order of commits ----


def check_transactions(ledger, findings):
    """Transactions and entries name each other. Gives what was reversed, by account and transaction."""
    named, reversals = set(), defaultdict(dict)
    for (id, name), t in ledger.rows["transactions"].items():
        with findings.reading("its transaction", name, t.sequence):
            others = [(other, number) for other, number in json.loads(t.others or "[]")]
            places = [(name, t.sequence), *others]
            found = [ledger.rows["entries"].get(place) for place in places]
            odd = others != sorted(set(others)) or t.others is not None and not others
            problems = ["has others that aren't in order, or none"] * odd
            problems += [f"names entry {place}, which isn't there or another's"
                         for place, e in zip(places, found) if e is None or ledger.transaction(e) is not t]
            problems += mistakes(t, {e.account_id: e for e in found if e is not None})
            named.update(places)
            if t.type == "reversal":
                original = ledger.rows["transactions"][t.related_id, name]
                reversed = reversals[name].get(t.related_id, [0])[0] + t.amount
                reversals[name][t.related_id] = [reversed, int(reversed == original.amount)]
                problems += ["reverses more than there was"] * (reversed > original.amount)
            for problem in problems:
                findings.add(f"transaction {uuid(id)} {problem}", name, t.sequence)
    for name, number in sorted(ledger.rows["entries"].keys() - named):
        findings.add("no transaction names it", name, number)
    return reversals


def mistakes(t, entries):
    """What doesn't add up in a transaction. What our own accounts (sys/…) give or get is the rest: so it sums
    to zero if customers' accounts get what others give, and nothing else stands against them."""
    for name, e in entries.items():
        if e.counter_account not in SYSTEM:
            other = entries.get(e.counter_account)
            against = other.amount - other.split_amount if other and other.counter_account == name else 0
            if e.amount - e.split_amount + against:
                yield f"moves {e.amount - e.split_amount} of {name} and {against} of {e.counter_account}"
        if (e.split_account is None) != (e.split_amount == 0) or e.split_account not in (None, *SYSTEM):
            yield f"has a part of {e.split_amount} with {e.split_account}"
        if (e.owner_id is None) != (name == t.account_id) or e.create_time != t.create_time:
            yield f"has an entry of {name} with another owner or time"
    own, (counter, *factors) = entries.get(t.account_id), TYPES[t.type]
    if own:
        moves = [own.amount, own.held_delta]
        if any(times is not None and t.amount * times != it for times, it in zip(factors, moves)):
            yield f"is a {t.type} of {t.amount}, and its entry moves {moves}"
        if counter and own.counter_account != counter or t.type == "transfer" and len(entries) != 2:
            yield f"is a {t.type} with {own.counter_account} in {len(entries)} accounts"
    # Not all of this is signed, for the chain takes what there isn't as 0, or -1.
    entitled = (t.entitled_quantity, t.entitlement_period, t.entitlement_counted)
    if t.entitlement_period == -1 or t.entitlement_source is None and entitled != (0, None, 0):
        yield f"has {entitled} in the columns of its entitlement"
    if t.metadata == "{}":
        yield "has metadata that is empty, and not missing"


def check_commits(ledger, findings):
    """Every entry has one position, after those of its account before it. Gives them in their order."""
    order, position, newest = [], 0, Counter()
    for at, row in ledger.rows["commits"].items():
        with findings.reading(f"commit {at}"):
            places = json.loads(row.entries)
            if not places or at != position + len(places):
                findings.add(f"commit {at} has {len(places)} entries and comes after position {position}")
            position = at
            for place, (name, number) in enumerate(places, at - len(places) + 1):
                if fitting("N", number) != newest[fitting("T", name)] + 1:
                    findings.add(f"commit {at} has it after number {newest[name]}", name, number)
                newest[name] = number
                order.append((place, name, number))
    if position != ledger.position:
        findings.add(f"the last commit is at position {position}, and the stream at {ledger.position}")
    for name in sorted(ledger.of["entries"].keys() | newest.keys()):
        number = max((e.sequence for e in ledger.of["entries"][name]), default=0)
        if newest[name] != number:
            findings.add(f"its newest entry is {number}, and the commits end with {newest[name]}", name)
    return order


# ---- The checkpoint ----


def check_checkpoint(ledger, order, text, public_key, findings):
    """Is it signed, and was the ledger at its position what it says?"""
    checkpoint = json.loads(text)
    statement = json.loads(checkpoint["statement"])
    if not signed(public_key, checkpoint["statement"].encode(), bytes.fromhex(checkpoint["signature"])):
        findings.add("the checkpoint isn't signed with this key")
    position = fitting("N", statement["position"])
    if position > ledger.position:
        findings.add(f"the checkpoint is of position {position}, and the ledger ends at {ledger.position}")
        return
    heads, transactions = {}, set()
    for place, name, number in order:
        if place <= position:
            heads[name] = ledger.rows["entries"][name, number]
            transactions.add((heads[name].owner_id or name, heads[name].transaction_id))
    expected = {
        "version": 1, "create_time": statement["create_time"], "epoch": ledger.epoch, "position": position,
        "accounts": len(heads), "entries": position, "transactions": len(transactions),
        "posted": str(sum(e.balance_after for e in heads.values())),
        "held": str(sum(e.held_after for e in heads.values())),
        "root": root([(name, e.sequence, e.chain) for name, e in sorted(heads.items())]).hex(),
        "key_id": statement["key_id"], "public_key": public_key.hex(),
    }
    for member in sorted(statement.keys() | expected.keys()):
        if statement.get(member) != expected.get(member):
            findings.add(f"the checkpoint's {member} is {statement.get(member)}, here {expected.get(member)}")


def root(leaves):
    """The Merkle tree hash of RFC 6962."""
    if len(leaves) < 2:
        return hashlib.sha256(b"".join([b"\0", *map(netstring, leaves[0])] if leaves else [])).digest()
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(leaves[:left]) + root(leaves[left:])).digest()


# Ed25519 (RFC 8032). Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def plus(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, p):
    total = (0, 1, 1, 0)
    while number:
        total, p, number = plus(total, p) if number & 1 else total, plus(p, p), number >> 1
    return total


def point(data):
    y, odd = int.from_bytes(data, "little") % 2**255, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or y >= P or len(data) != 32:
        raise ValueError("not a point of the curve")
    x = x if x % 2 == odd else P - x
    return x, y, 1, x * y % P


def signed(public_key, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(r + public_key + message).digest(), "little") % ORDER
    base = point(bytes([0x58] + [0x66] * 31))
    p, q = times(s % ORDER, base), plus(point(r), times(h, point(public_key)))
    return s < ORDER and all((p[i] * q[2] - q[i] * p[2]) % P == 0 for i in (0, 1))


# ---- The command ----


def verify(export, secrets, checkpoint, public_key):
    findings = Findings()
    ledger = Ledger(export, findings)
    usable = check_keys(ledger, secrets, findings)
    reversals = check_transactions(ledger, findings)
    of_accounts = [of for table, of in ledger.of.items() if table not in ("chain_keys", "commits")]
    for name in sorted(set().union(*of_accounts)):
        check_account(ledger, name, usable, reversals, findings)
    order = check_commits(ledger, findings)
    if checkpoint is not None:
        with findings.reading("the checkpoint, or what it is about,"):
            check_checkpoint(ledger, order, checkpoint, public_key, findings)
    if secrets is None:
        print(f"{export.name}: no chain keys were given, so nobody looked whether this is what was signed")
    print(f"{export.name}: {f'{findings.count} findings' if findings.count else 'ok'}")
    return findings.count


def main():
    file = argparse.FileType("rb")
    parser = argparse.ArgumentParser(description="Verifies exported ledgers.")
    parser.add_argument("--keys", metavar="ID:SECRET,…", default=os.environ.get("LEDGER_CHAIN_KEYS"))
    parser.add_argument("--key-file", metavar="FILE", type=file, help="where the chain keys are")
    parser.add_argument("--checkpoint", metavar="FILE", type=file, help="hold the ledgers against it")
    parser.add_argument("--public-key", metavar="HEX", type=bytes.fromhex, help="what signed the checkpoint")
    parser.add_argument("exports", metavar="EXPORT.jsonl", type=file, nargs="+")
    options = parser.parse_args()
    if (options.checkpoint is None) != (options.public_key is None):
        parser.error("--checkpoint and --public-key go together")
    try:
        keys = options.key_file.read().decode() if options.key_file else options.keys
        secrets = dict(pair.split(":", 1) for pair in keys.strip().split(",")) if keys else None
    except ValueError:
        parser.error("keys are id:secret,id2:secret2")
    secrets = secrets and {key_id: secret.encode() for key_id, secret in secrets.items()}
    checkpoint = options.checkpoint and options.checkpoint.read()
    sys.stdout.reconfigure(errors="backslashreplace")
    counts = [verify(export, secrets, checkpoint, options.public_key) for export in options.exports]
    sys.exit(1 if any(counts) else 0)


if __name__ == "__main__":
    main()
