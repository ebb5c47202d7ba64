-- The gateway's own facts. Times are microseconds since 1970, amounts of money minor units, switches 0 or 1.

-- Who buys: the account, and who that is at Stripe. The only table with people's names.
CREATE TABLE customers (
    account_id TEXT NOT NULL PRIMARY KEY,
    email TEXT,
    name TEXT,
    stripe_customer TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX customers_stripe ON customers (stripe_customer) WHERE stripe_customer IS NOT NULL;
CREATE INDEX customers_email ON customers (email) WHERE email IS NOT NULL;

-- One intent to buy, from created to credited.
CREATE TABLE purchases (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('checkout', 'payment_intent')),
    state TEXT NOT NULL CHECK (state IN ('created', 'open', 'awaiting', 'paid', 'credited', 'expired', 'failed',
                                         'mismatch', 'partly_reversed', 'reversed')),
    -- What is bought; a package or any number of tokens.
    package_id TEXT,
    name TEXT NOT NULL,
    tokens INTEGER NOT NULL CHECK (tokens > 0),
    price_minor INTEGER NOT NULL CHECK (price_minor > 0),
    currency TEXT NOT NULL,
    livemode INTEGER NOT NULL CHECK (livemode IN (0, 1)),
    -- Stripe's price and how many of it; without one the price is inline.
    stripe_price TEXT,
    may_be_free INTEGER NOT NULL CHECK (may_be_free IN (0, 1)),
    catalog_version TEXT NOT NULL,
    -- Repeated clicks for the same offer share a purchase while it is open.
    offer TEXT NOT NULL,
    -- The newest call to Stripe: purchase/{id}/attempt/{n}.
    attempt INTEGER NOT NULL DEFAULT 0,
    session_id TEXT,
    checkout_url TEXT,
    session_expires_at INTEGER,
    payment_intent TEXT,
    charge TEXT,
    receipt_url TEXT,
    paid_minor INTEGER,
    -- What is to be taken back in all, which revision that is, and the newest that the ledger has confirmed.
    clawback_target INTEGER NOT NULL DEFAULT 0,
    clawback_revision INTEGER NOT NULL DEFAULT 0,
    clawback_confirmed INTEGER NOT NULL DEFAULT 0,
    -- Money that is back: refunds and disputes, for the report.
    returned_minor INTEGER NOT NULL DEFAULT 0,
    transaction_id TEXT,
    -- Why it is where it is, in words.
    note TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    paid_at INTEGER,
    credited_at INTEGER,
    -- The reconciler looks again from then on.
    look_at INTEGER NOT NULL,
    CHECK (paid_minor IS NULL OR paid_minor >= 0),
    CHECK (clawback_target BETWEEN 0 AND tokens),
    CHECK (clawback_confirmed <= clawback_revision)
) STRICT;
CREATE INDEX purchases_account ON purchases (account_id, created_at);
CREATE UNIQUE INDEX purchases_offer ON purchases (account_id, offer)
    WHERE state IN ('created', 'open') AND kind = 'checkout';
CREATE UNIQUE INDEX purchases_session ON purchases (session_id) WHERE session_id IS NOT NULL;
CREATE UNIQUE INDEX purchases_intent ON purchases (payment_intent) WHERE payment_intent IS NOT NULL;
CREATE INDEX purchases_unsettled ON purchases (look_at)
    WHERE state IN ('created', 'open', 'awaiting', 'paid') OR clawback_confirmed < clawback_revision;
CREATE INDEX purchases_newest ON purchases (created_at, id);

-- Keys that callers gave their requests, and what was asked with them.
CREATE TABLE requests (
    account_id TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    purchase_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT;

-- Calls that make something at Stripe, written down before they are made.
CREATE TABLE calls (
    key TEXT NOT NULL PRIMARY KEY,
    purchase_id TEXT NOT NULL,
    path TEXT NOT NULL,
    body TEXT NOT NULL,
    -- open: its outcome is unknown; done: it happened; refused: it didn't, and won't.
    outcome TEXT NOT NULL CHECK (outcome IN ('open', 'done', 'refused')),
    status INTEGER,
    request_id TEXT,
    error TEXT,
    created_at INTEGER NOT NULL,
    answered_at INTEGER
) STRICT;
CREATE INDEX calls_purchase ON calls (purchase_id);

-- Events, kept before they are acted on.
CREATE TABLE inbox (
    id TEXT NOT NULL PRIMARY KEY,
    endpoint TEXT NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('received', 'processing', 'retry', 'done', 'ignored', 'parked')),
    reason TEXT,
    purchase_id TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    received_at INTEGER NOT NULL,
    -- Worked on from then on; while it is processing, its lease.
    due_at INTEGER NOT NULL,
    owner TEXT,
    ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX inbox_event ON inbox (endpoint, event_id);
CREATE INDEX inbox_due ON inbox (due_at, id) WHERE state IN ('received', 'processing', 'retry');
CREATE INDEX inbox_purchase ON inbox (purchase_id) WHERE purchase_id IS NOT NULL;
CREATE INDEX inbox_newest ON inbox (received_at, id);
CREATE INDEX inbox_state ON inbox (state, received_at, id) WHERE state IN ('parked', 'retry');

-- Who is signed in: digests of what they show.
CREATE TABLE sessions (
    digest TEXT NOT NULL PRIMARY KEY,
    use TEXT NOT NULL CHECK (use IN ('link', 'cookie', 'bearer')),
    account_id TEXT NOT NULL,
    csrf TEXT NOT NULL,
    return_url TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_expired ON sessions (expires_at);

-- What an operator should know; the same of one subject within an hour is one row with a count.
CREATE TABLE alerts (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    hour INTEGER NOT NULL,
    count INTEGER NOT NULL,
    detail TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'false_positive')),
    note TEXT
) STRICT;
CREATE UNIQUE INDEX alerts_subject ON alerts (kind, subject, hour);
CREATE INDEX alerts_newest ON alerts (last_at, id);

-- What reconciling found.
CREATE TABLE reconciliations (
    id TEXT NOT NULL PRIMARY KEY,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    events_seen INTEGER NOT NULL DEFAULT 0,
    events_missing INTEGER NOT NULL DEFAULT 0,
    purchases_looked_at INTEGER NOT NULL DEFAULT 0,
    differences TEXT NOT NULL DEFAULT '[]',
    error TEXT
) STRICT;
CREATE INDEX reconciliations_newest ON reconciliations (started_at, id);

-- How far things have come, by name; and leases, so that one replica does what needs to be done once.
CREATE TABLE marks (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL,
    owner TEXT
) STRICT;
