-- The ledger on PostgreSQL. The same tables and columns as on SQLite.
-- Times are microseconds since 1970 (UTC), tokens are whole numbers. The account is part of every key,
-- so that tables can be distributed by account. Text is compared byte by byte, whatever the database's
-- language: accounts are locked and listed in that order everywhere.

-- One row is all that a debit reads and updates: balances, the open grants that burn first, and open
-- holds. Half of each page stays free, so that the new version of a row finds room beside the old one and no index changes.
CREATE TABLE ledger.accounts (
    account_id  text   COLLATE "C" NOT NULL PRIMARY KEY,
    status      text   NOT NULL CHECK (status IN ('active', 'frozen', 'closed')),
    sequence    bigint NOT NULL CHECK (sequence > 0),
    posted      bigint NOT NULL,
    held        bigint NOT NULL CHECK (held >= 0),
    due_time    bigint,
    create_time bigint NOT NULL,
    update_time bigint NOT NULL,
    chain_key   text   NOT NULL,
    chain       bytea  NOT NULL CHECK (length(chain) = 32),
    body        text   NOT NULL
) WITH (fillfactor = 50);

-- For the sweeper: accounts on which something will lapse.
CREATE INDEX accounts_due ON ledger.accounts (due_time) WHERE due_time IS NOT NULL;

-- For operators: frozen and closed accounts are few among the active ones.
CREATE INDEX accounts_not_active ON ledger.accounts (account_id) WHERE status <> 'active';

-- Accepted commands. transaction_id is made from account and idempotency key, so this one unique
-- index finds a transaction by either and keeps a key from being used twice.
CREATE TABLE ledger.transactions (
    account_id          text   COLLATE "C" NOT NULL,
    transaction_id      uuid   NOT NULL,
    idempotency_key     text   NOT NULL,
    type                text   NOT NULL,
    create_time         bigint NOT NULL,
    amount              bigint NOT NULL CHECK (amount >= 0),
    action              text,
    quantity            bigint NOT NULL,
    entitlement_source  text,
    entitled_quantity   bigint NOT NULL,
    entitlement_period  bigint,
    entitlement_counted bigint NOT NULL,
    related_id          uuid,
    description         text   NOT NULL,
    reference           text   NOT NULL,
    metadata            text,
    actor               text   NOT NULL,
    on_behalf_of        text   NOT NULL,
    fingerprint         bytea  NOT NULL,
    -- Where its entries are: its own account's number, and [account, number] of the others.
    sequence            bigint NOT NULL,
    others              text
);

-- The id leads: keys that are time-ordered UUIDs make ids that are too, and these are then inserted
-- side by side instead of one per page.
CREATE UNIQUE INDEX transactions_by_name ON ledger.transactions (transaction_id, account_id);

-- One account's side of a transaction. An account is the fold of its entries' changes.
CREATE TABLE ledger.entries (
    account_id      text   COLLATE "C" NOT NULL,
    sequence        bigint NOT NULL CHECK (sequence > 0),
    -- The account whose command it was, where that is another one.
    owner_id        text   COLLATE "C",
    transaction_id  uuid   NOT NULL,
    create_time     bigint NOT NULL,
    amount          bigint NOT NULL,
    held_delta      bigint NOT NULL,
    balance_after   bigint NOT NULL,
    held_after      bigint NOT NULL,
    counter_account text   NOT NULL,
    split_account   text,
    split_amount    bigint NOT NULL,
    changes         text   NOT NULL,
    chain_key       text   NOT NULL,
    chain           bytea  NOT NULL CHECK (length(chain) = 32)
);

CREATE UNIQUE INDEX entries_by_account ON ledger.entries (account_id, sequence);

-- Grants of which nothing is left, and open ones that are too many for their account's row: each is
-- in one place only.
CREATE TABLE ledger.grants (
    account_id text   COLLATE "C" NOT NULL,
    grant_id   uuid   NOT NULL,
    open       bigint NOT NULL CHECK (open IN (0, 1)),
    body       text   NOT NULL,
    PRIMARY KEY (account_id, grant_id)
);

-- For commands that need all of an account's grants: they are few among the closed ones.
CREATE INDEX grants_open ON ledger.grants (account_id) WHERE open = 1;

-- Holds that have ended. Open ones are in their account's row.
CREATE TABLE ledger.holds (
    account_id text COLLATE "C" NOT NULL,
    hold_id    uuid NOT NULL,
    state      text NOT NULL,
    body       text NOT NULL,
    PRIMARY KEY (account_id, hold_id)
);

-- How much of a transaction has been reversed.
CREATE TABLE ledger.reversals (
    account_id     text   COLLATE "C" NOT NULL,
    transaction_id uuid   NOT NULL,
    reversed       bigint NOT NULL CHECK (reversed >= 0),
    complete       bigint NOT NULL CHECK (complete IN (0, 1)),
    PRIMARY KEY (account_id, transaction_id)
);

-- How much of a credit is clawed back, and from where.
CREATE TABLE ledger.clawbacks (
    account_id     text COLLATE "C" NOT NULL,
    transaction_id uuid NOT NULL,
    body           text NOT NULL,
    PRIMARY KEY (account_id, transaction_id)
);

-- The order in which entries became visible. A batch takes its numbers last of all, from one row that
-- stays locked until it has committed: so no number appears after a higher one was read.
CREATE TABLE ledger.stream (
    stream_id bigint NOT NULL PRIMARY KEY CHECK (stream_id = 1),
    -- Changes when the database is restored: positions from before mean nothing then.
    epoch     text   NOT NULL,
    position  bigint NOT NULL CHECK (position >= 0)
);
INSERT INTO ledger.stream VALUES (1, replace(gen_random_uuid()::text, '-', ''), 0);

-- What each batch wrote: [account, number] of its entries. Its last entry is at `position`, the one
-- before it at `position - 1`, and so on.
CREATE TABLE ledger.commits (
    position bigint NOT NULL PRIMARY KEY,
    entries  text   NOT NULL
);

-- The names of the keys that chains were made with, and a code that tells a wrong secret.
CREATE TABLE ledger.chain_keys (
    key_id     text  COLLATE "C" NOT NULL PRIMARY KEY,
    check_code bytea NOT NULL CHECK (length(check_code) = 32)
);

-- Rows as they are written: a statement takes those of one table as one array. They are types of their
-- own, so that a table can get a column while services of the version before still write.
CREATE TYPE ledger.account_record AS (
    account_id text COLLATE "C", status text, sequence bigint, posted bigint, held bigint,
    due_time bigint, create_time bigint, update_time bigint, chain_key text, chain bytea, body text
);
CREATE TYPE ledger.transaction_record AS (
    account_id text COLLATE "C", transaction_id uuid, idempotency_key text, type text,
    create_time bigint, amount bigint, action text, quantity bigint, entitlement_source text,
    entitled_quantity bigint, entitlement_period bigint, entitlement_counted bigint,
    related_id uuid, description text, reference text, metadata text, actor text, on_behalf_of text,
    fingerprint bytea, sequence bigint, others text
);
CREATE TYPE ledger.entry_record AS (
    account_id text COLLATE "C", sequence bigint, owner_id text COLLATE "C", transaction_id uuid,
    create_time bigint, amount bigint, held_delta bigint, balance_after bigint, held_after bigint,
    counter_account text, split_account text, split_amount bigint, changes text, chain_key text,
    chain bytea
);
CREATE TYPE ledger.grant_record AS (
    account_id text COLLATE "C", grant_id uuid, open bigint, body text
);
CREATE TYPE ledger.hold_record AS (
    account_id text COLLATE "C", hold_id uuid, state text, body text
);
CREATE TYPE ledger.reversal_record AS (
    account_id text COLLATE "C", transaction_id uuid, reversed bigint, complete bigint
);
CREATE TYPE ledger.clawback_record AS (
    account_id text COLLATE "C", transaction_id uuid, body text
);

-- For a batch that was read without locks and arrives when nobody waits for it any more.
CREATE FUNCTION ledger.too_late() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the batch was read too long ago' USING ERRCODE = 'serialization_failure';
END $$;

CREATE FUNCTION ledger.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% are never changed or deleted', TG_TABLE_NAME;
END $$;
CREATE TRIGGER transactions_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.transactions
    EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER entries_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entries
    EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER commits_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.commits
    EXECUTE FUNCTION ledger.refuse();
