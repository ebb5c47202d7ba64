//! The SQL of the two ways without batching, and of the raw batches. The server that runs a way and
//! the pgbench script are made from the same texts, so that they are the same SQL.
//!
//! Both ways keep what any of them must keep: a balance that several requests don't spend twice, one
//! row a request with a key that is used once, and an index of the account's history.

use crate::accounts::{FIRST, Spread};
use clap::ValueEnum;

/// How a debit is done without batching.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, ValueEnum)]
pub enum Way {
    /// Read for update, decide, update, insert, commit: a round trip each.
    PerRequest,
    /// One statement that does it all, the strongest way without batching.
    OneStatement,
}

/// The tables. `fillfactor` lets an update stay on its page.
pub const TABLES: &str = "
    CREATE TABLE accounts (
        account_id text NOT NULL PRIMARY KEY,
        balance bigint NOT NULL CHECK (balance >= 0),
        sequence bigint NOT NULL
    ) WITH (fillfactor = 50);
    CREATE TABLE transactions (
        account_id text NOT NULL,
        sequence bigint NOT NULL,
        idempotency_key text NOT NULL,
        amount bigint NOT NULL,
        balance_after bigint NOT NULL,
        create_time timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (account_id, sequence),
        UNIQUE (idempotency_key, account_id)
    );";

/// Accounts with tokens: how many accounts, the first one's name as a number, tokens of each.
pub const FILL: &str = "
    INSERT INTO accounts
    SELECT (number + $2)::text, $3, 0 FROM generate_series(0, $1 - 1) AS number";

/// Account. Answers balance and sequence.
pub const LOCK: &str = "SELECT balance, sequence FROM accounts WHERE account_id = $1 FOR UPDATE";

/// Account, balance, sequence.
pub const UPDATE: &str = "UPDATE accounts SET balance = $2, sequence = $3 WHERE account_id = $1";

/// Account, sequence, key, amount, balance.
pub const INSERT: &str = "
    INSERT INTO transactions (account_id, sequence, idempotency_key, amount, balance_after)
    VALUES ($1, $2, $3, $4, $5)";

/// Account, amount, key. Answers sequence and balance; nothing if there is too little.
pub const DEBIT: &str = "
    WITH updated AS (
        UPDATE accounts SET balance = balance - $2, sequence = sequence + 1
        WHERE account_id = $1 AND balance >= $2
        RETURNING account_id, sequence, balance
    )
    INSERT INTO transactions (account_id, sequence, idempotency_key, amount, balance_after)
    SELECT account_id, sequence, $3, $2, balance FROM updated
    RETURNING sequence, balance_after";

/// Account, key: what the key did, for the request that comes again. Answers sequence and balance.
pub const AGAIN: &str = "
    SELECT sequence, balance_after FROM transactions
    WHERE account_id = $1 AND idempotency_key = $2";

/// The raw batches' key is 16 bytes, as the service's.
pub const RAW_KEY: &str = "ALTER TABLE transactions ALTER idempotency_key TYPE bytea USING NULL";

/// Accounts, each once; what each loses; how many debits each has.
pub const RAW_UPDATE: &str = "
    UPDATE accounts SET balance = balance - debits.amount, sequence = sequence + debits.count
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS debits (account_id, amount, count)
    WHERE accounts.account_id = debits.account_id
    RETURNING accounts.account_id, balance, sequence";

/// Accounts, sequences, keys, amounts, balances.
pub const RAW_INSERT: &str = "
    INSERT INTO transactions (account_id, sequence, idempotency_key, amount, balance_after)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[])";

/// pgledger's accounts under our names: how many, the first one's name as a number.
pub const PGLEDGER_FILL: &str = "
    INSERT INTO pgledger_accounts (id, name, currency, balance, version, allow_negative_balance,
                                   allow_positive_balance, created_at, updated_at)
    SELECT (number + $2)::text, number, 'T', 1000000000, 0, false, true, now(), now()
    FROM generate_series(0, $1 - 1) AS number";

/// A way as a pgbench script. It wants the variables `accounts`, `run` (another number every time)
/// and `n` (0). Keys are numbers that grow, as time-ordered UUIDs do.
pub fn script(way: Way, spread: Spread) -> Result<String, String> {
    let account = match spread {
        Spread::Random => format!("{FIRST} + random(0, :accounts - 1)"),
        Spread::Hot => FIRST.to_string(),
        Spread::Zipf => return Err("pgbench's own Zipf is another one".to_owned()),
    };
    let head = format!(
        "\\set account {account}\n\
         \\set n :n + 1\n\
         \\set key :run * 10000000000000 + :client_id * 10000000000 + :n\n\
         \\set amount 1\n"
    );
    let body = match way {
        Way::PerRequest => [
            "BEGIN;\n".to_owned(),
            format!("{} \\gset\n", named(LOCK, &["account"])),
            "\\set balance :balance - :amount\n\\set sequence :sequence + 1\n".to_owned(),
            format!("{};\n", named(UPDATE, &["account", "balance", "sequence"])),
            format!("{};\n", named(INSERT, &["account", "sequence", "key", "amount", "balance"])),
            "COMMIT;\n".to_owned(),
        ]
        .concat(),
        Way::OneStatement => format!("{};\n", named(DEBIT, &["account", "amount", "key"])),
    };
    Ok(head + &body)
}

/// pgledger's transfer between any two accounts as a pgbench script.
pub fn pgledger_script() -> String {
    format!(
        "\\set from random(0, :accounts - 1)\n\
         \\set to {FIRST} + (:from + random(1, :accounts - 1)) % :accounts\n\
         \\set from {FIRST} + :from\n\
         SELECT * FROM pgledger_create_transfer(:from, :to, '1');\n"
    )
}

/// A statement with names instead of numbers.
fn named(statement: &str, names: &[&str]) -> String {
    let numbered = (1..).zip(names);
    let text = numbered.fold(statement.to_owned(), |text, (number, name)| {
        text.replace(&format!("${number}"), &format!(":{name}"))
    });
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_the_servers_statements_with_names() {
        let script = script(Way::PerRequest, Spread::Hot).unwrap();
        let update = "\nUPDATE accounts SET balance = :balance, sequence = :sequence \
                      WHERE account_id = :account;\n";
        assert!(script.contains(update), "{script}");
        assert!(script.contains("FOR UPDATE \\gset\n"), "{script}");
        assert!(!script.contains('$'), "{script}");
    }
}
