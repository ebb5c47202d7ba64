-- The gateway's own facts. Times are microseconds since 1970, amounts of money minor units, switches 0 or 1.

-- Who buys: the account, and who that is at Stripe. The only table with people's names.
CREATE TABLE gateway.customers (
    account_id text PRIMARY KEY,
    email text,
    name text,
    stripe_customer text,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX customers_stripe ON gateway.customers (stripe_customer) WHERE stripe_customer IS NOT NULL;
CREATE INDEX customers_email ON gateway.customers (email) WHERE email IS NOT NULL;

-- One intent to buy, from created to credited.
CREATE TABLE gateway.purchases (
    id text PRIMARY KEY,
    account_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('checkout', 'payment_intent')),
    state text NOT NULL CHECK (state IN ('created', 'open', 'awaiting', 'paid', 'credited', 'expired', 'failed',
                                         'mismatch', 'partly_reversed', 'reversed')),
    -- What is bought; a package or any number of tokens.
    package_id text,
    name text NOT NULL,
    tokens bigint NOT NULL CHECK (tokens > 0),
    price_minor bigint NOT NULL CHECK (price_minor > 0),
    currency text NOT NULL,
    livemode bigint NOT NULL CHECK (livemode IN (0, 1)),
    -- Stripe's price and how many of it; without one the price is inline.
    stripe_price text,
    may_be_free bigint NOT NULL CHECK (may_be_free IN (0, 1)),
    catalog_version text NOT NULL,
    -- Repeated clicks for the same offer share a purchase while it is open.
    offer text NOT NULL,
    -- The newest call to Stripe: purchase/{id}/attempt/{n}.
    attempt bigint NOT NULL DEFAULT 0,
    session_id text,
    checkout_url text,
    session_expires_at bigint,
    payment_intent text,
    charge text,
    receipt_url text,
    paid_minor bigint,
    -- What is to be taken back in all, which revision that is, and the newest that the ledger has confirmed.
    clawback_target bigint NOT NULL DEFAULT 0,
    clawback_revision bigint NOT NULL DEFAULT 0,
    clawback_confirmed bigint NOT NULL DEFAULT 0,
    -- Money that is back: refunds and disputes, for the report.
    returned_minor bigint NOT NULL DEFAULT 0,
    transaction_id text,
    -- Why it is where it is, in words.
    note text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    paid_at bigint,
    credited_at bigint,
    -- The reconciler looks again from then on.
    look_at bigint NOT NULL,
    CHECK (paid_minor IS NULL OR paid_minor >= 0),
    CHECK (clawback_target BETWEEN 0 AND tokens),
    CHECK (clawback_confirmed <= clawback_revision)
);
CREATE INDEX purchases_account ON gateway.purchases (account_id, created_at);
CREATE UNIQUE INDEX purchases_offer ON gateway.purchases (account_id, offer)
    WHERE state IN ('created', 'open') AND kind = 'checkout';
CREATE UNIQUE INDEX purchases_session ON gateway.purchases (session_id) WHERE session_id IS NOT NULL;
CREATE UNIQUE INDEX purchases_intent ON gateway.purchases (payment_intent) WHERE payment_intent IS NOT NULL;
CREATE INDEX purchases_unsettled ON gateway.purchases (look_at)
    WHERE state IN ('created', 'open', 'awaiting', 'paid') OR clawback_confirmed < clawback_revision;
CREATE INDEX purchases_newest ON gateway.purchases (created_at, id);

-- Keys that callers gave their requests, and what was asked with them.
CREATE TABLE gateway.requests (
    account_id text NOT NULL,
    key text NOT NULL,
    digest text NOT NULL,
    purchase_id text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (account_id, key)
);

-- Calls that make something at Stripe, written down before they are made.
CREATE TABLE gateway.calls (
    key text PRIMARY KEY,
    purchase_id text NOT NULL,
    path text NOT NULL,
    body text NOT NULL,
    -- open: its outcome is unknown; done: it happened; refused: it didn't, and won't.
    outcome text NOT NULL CHECK (outcome IN ('open', 'done', 'refused')),
    status bigint,
    request_id text,
    error text,
    created_at bigint NOT NULL,
    answered_at bigint
);
CREATE INDEX calls_purchase ON gateway.calls (purchase_id);

-- Events, kept before they are acted on.
CREATE TABLE gateway.inbox (
    id text PRIMARY KEY,
    endpoint text NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('received', 'processing', 'retry', 'done', 'ignored', 'parked')),
    reason text,
    purchase_id text,
    failures bigint NOT NULL DEFAULT 0,
    received_at bigint NOT NULL,
    -- Worked on from then on; while it is processing, its lease.
    due_at bigint NOT NULL,
    owner text,
    ended_at bigint
);
CREATE UNIQUE INDEX inbox_event ON gateway.inbox (endpoint, event_id);
CREATE INDEX inbox_due ON gateway.inbox (due_at, id) WHERE state IN ('received', 'processing', 'retry');
CREATE INDEX inbox_purchase ON gateway.inbox (purchase_id) WHERE purchase_id IS NOT NULL;
CREATE INDEX inbox_newest ON gateway.inbox (received_at, id);
CREATE INDEX inbox_state ON gateway.inbox (state, received_at, id) WHERE state IN ('parked', 'retry');

-- Who is signed in: digests of what they show.
CREATE TABLE gateway.sessions (
    digest text PRIMARY KEY,
    use text NOT NULL CHECK (use IN ('link', 'cookie', 'bearer')),
    account_id text NOT NULL,
    csrf text NOT NULL,
    return_url text,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX sessions_expired ON gateway.sessions (expires_at);

-- What an operator should know; the same of one subject within an hour is one row with a count.
CREATE TABLE gateway.alerts (
    id text PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    hour bigint NOT NULL,
    count bigint NOT NULL,
    detail text NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'acknowledged', 'false_positive')),
    note text
);
CREATE UNIQUE INDEX alerts_subject ON gateway.alerts (kind, subject, hour);
CREATE INDEX alerts_newest ON gateway.alerts (last_at, id);

-- What reconciling found.
CREATE TABLE gateway.reconciliations (
    id text PRIMARY KEY,
    started_at bigint NOT NULL,
    ended_at bigint,
    events_seen bigint NOT NULL DEFAULT 0,
    events_missing bigint NOT NULL DEFAULT 0,
    purchases_looked_at bigint NOT NULL DEFAULT 0,
    differences text NOT NULL DEFAULT '[]',
    error text
);
CREATE INDEX reconciliations_newest ON gateway.reconciliations (started_at, id);

-- How far things have come, by name; and leases, so that one replica does what needs to be done once.
CREATE TABLE gateway.marks (
    name text PRIMARY KEY,
    value bigint NOT NULL,
    owner text
);
