-- The ledger on SQLite. The same tables and columns as on PostgreSQL.
-- Times are microseconds since 1970 (UTC), tokens are whole numbers, ids of transactions, grants and
-- holds are the 16 bytes of their UUID. The account is part of every key, so that tables
-- can be distributed by account.

-- One row is all that a debit reads and updates: balances, the open grants that burn first, and open
-- holds.
CREATE TABLE accounts (
    account_id  TEXT    NOT NULL PRIMARY KEY,
    status      TEXT    NOT NULL CHECK (status IN ('active', 'frozen', 'closed')),
    sequence    INTEGER NOT NULL CHECK (sequence > 0),
    posted      INTEGER NOT NULL,
    held        INTEGER NOT NULL CHECK (held >= 0),
    due_time    INTEGER,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    chain_key   TEXT    NOT NULL,
    chain       BLOB    NOT NULL CHECK (length(chain) = 32),
    body        TEXT    NOT NULL
) STRICT;

-- For the sweeper: accounts on which something will lapse.
CREATE INDEX accounts_due ON accounts (due_time) WHERE due_time IS NOT NULL;

-- For operators: frozen and closed accounts are few among the active ones.
CREATE INDEX accounts_not_active ON accounts (account_id) WHERE status <> 'active';

-- Accepted commands. transaction_id is made from account and idempotency key, so this one unique
-- index finds a transaction by either and keeps a key from being used twice.
CREATE TABLE transactions (
    account_id         TEXT    NOT NULL,
    transaction_id     BLOB    NOT NULL CHECK (length(transaction_id) = 16),
    idempotency_key    TEXT    NOT NULL,
    type               TEXT    NOT NULL,
    create_time        INTEGER NOT NULL,
    amount             INTEGER NOT NULL CHECK (amount >= 0),
    action             TEXT,
    quantity           INTEGER NOT NULL,
    entitlement_source TEXT,
    entitled_quantity  INTEGER NOT NULL,
    entitlement_period INTEGER,
    entitlement_counted INTEGER NOT NULL,
    related_id         BLOB,
    description        TEXT    NOT NULL,
    reference          TEXT    NOT NULL,
    metadata           TEXT,
    actor              TEXT    NOT NULL,
    on_behalf_of       TEXT    NOT NULL,
    fingerprint        BLOB    NOT NULL,
    -- Where its entries are: its own account's number, and [account, number] of the others.
    sequence           INTEGER NOT NULL,
    others             TEXT
) STRICT;

-- The id leads: keys that are time-ordered UUIDs make ids that are too, and these are then inserted
-- side by side instead of one per page.
CREATE UNIQUE INDEX transactions_by_name ON transactions (transaction_id, account_id);

-- One account's side of a transaction. An account is the fold of its entries' changes.
CREATE TABLE entries (
    account_id      TEXT    NOT NULL,
    sequence        INTEGER NOT NULL CHECK (sequence > 0),
    -- The account whose command it was, where that is another one.
    owner_id        TEXT,
    transaction_id  BLOB    NOT NULL,
    create_time     INTEGER NOT NULL,
    amount          INTEGER NOT NULL,
    held_delta      INTEGER NOT NULL,
    balance_after   INTEGER NOT NULL,
    held_after      INTEGER NOT NULL,
    counter_account TEXT    NOT NULL,
    split_account   TEXT,
    split_amount    INTEGER NOT NULL,
    changes         TEXT    NOT NULL,
    chain_key       TEXT    NOT NULL,
    chain           BLOB    NOT NULL CHECK (length(chain) = 32)
) STRICT;

CREATE UNIQUE INDEX entries_by_account ON entries (account_id, sequence);

-- Grants of which nothing is left, and open ones that are too many for their account's row: each is
-- in one place only.
CREATE TABLE grants (
    account_id TEXT    NOT NULL,
    grant_id   BLOB    NOT NULL,
    open       INTEGER NOT NULL CHECK (open IN (0, 1)),
    body       TEXT    NOT NULL,
    PRIMARY KEY (account_id, grant_id)
) STRICT, WITHOUT ROWID;

-- For commands that need all of an account's grants: they are few among the closed ones.
CREATE INDEX grants_open ON grants (account_id) WHERE open = 1;

-- Holds that have ended. Open ones are in their account's row.
CREATE TABLE holds (
    account_id TEXT NOT NULL,
    hold_id    BLOB NOT NULL,
    state      TEXT NOT NULL,
    body       TEXT NOT NULL,
    PRIMARY KEY (account_id, hold_id)
) STRICT, WITHOUT ROWID;

-- How much of a transaction has been reversed.
CREATE TABLE reversals (
    account_id     TEXT    NOT NULL,
    transaction_id BLOB    NOT NULL,
    reversed       INTEGER NOT NULL CHECK (reversed >= 0),
    complete       INTEGER NOT NULL CHECK (complete IN (0, 1)),
    PRIMARY KEY (account_id, transaction_id)
) STRICT, WITHOUT ROWID;

-- How much of a credit is clawed back, and from where.
CREATE TABLE clawbacks (
    account_id     TEXT NOT NULL,
    transaction_id BLOB NOT NULL,
    body           TEXT NOT NULL,
    PRIMARY KEY (account_id, transaction_id)
) STRICT, WITHOUT ROWID;

-- The order in which entries became visible: see the comments of the PostgreSQL tables.
CREATE TABLE stream (
    stream_id INTEGER NOT NULL PRIMARY KEY CHECK (stream_id = 1),
    -- Changes when the database is restored: positions from before mean nothing then.
    epoch     TEXT    NOT NULL,
    position  INTEGER NOT NULL CHECK (position >= 0)
) STRICT;
INSERT INTO stream VALUES (1, lower(hex(randomblob(16))), 0);

-- What each batch wrote: [account, number] of its entries. Its last entry is at `position`, the one
-- before it at `position - 1`, and so on.
CREATE TABLE commits (
    position INTEGER NOT NULL PRIMARY KEY,
    entries  TEXT    NOT NULL
) STRICT;

-- The names of the keys that chains were made with, and a code that tells a wrong secret.
CREATE TABLE chain_keys (
    key_id     TEXT NOT NULL PRIMARY KEY,
    check_code BLOB NOT NULL CHECK (length(check_code) = 32)
) STRICT, WITHOUT ROWID;

-- REPLACE deletes without asking the triggers of DELETE: so what is there can't be inserted either.
CREATE TRIGGER transactions_are_never_replaced BEFORE INSERT ON transactions
WHEN EXISTS (SELECT 1 FROM transactions
             WHERE transaction_id = NEW.transaction_id AND account_id = NEW.account_id)
  OR EXISTS (SELECT 1 FROM transactions WHERE rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'transactions are never replaced'); END;
CREATE TRIGGER entries_are_never_replaced BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries
             WHERE account_id = NEW.account_id AND sequence = NEW.sequence)
  OR EXISTS (SELECT 1 FROM entries WHERE rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'entries are never replaced'); END;
CREATE TRIGGER transactions_are_never_updated BEFORE UPDATE ON transactions
BEGIN SELECT RAISE(ABORT, 'transactions are never updated'); END;
CREATE TRIGGER transactions_are_never_deleted BEFORE DELETE ON transactions
BEGIN SELECT RAISE(ABORT, 'transactions are never deleted'); END;
CREATE TRIGGER entries_are_never_updated BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never updated'); END;
CREATE TRIGGER entries_are_never_deleted BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;

CREATE TRIGGER commits_are_never_replaced BEFORE INSERT ON commits
WHEN EXISTS (SELECT 1 FROM commits WHERE position = NEW.position)
BEGIN SELECT RAISE(ABORT, 'commits are never replaced'); END;
CREATE TRIGGER commits_are_never_updated BEFORE UPDATE ON commits
BEGIN SELECT RAISE(ABORT, 'commits are never updated'); END;
CREATE TRIGGER commits_are_never_deleted BEFORE DELETE ON commits
BEGIN SELECT RAISE(ABORT, 'commits are never deleted'); END;
