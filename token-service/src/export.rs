//! The whole ledger as text, for programs of other people's: see `docs/AUDIT.md`.
//!
//! Rows go out as they are in the database, column by column; nothing is understood on the way.

use crate::store::{
    StoreError,
    records::{Posting, Record, Table},
    snapshot::{Key, PAGE_ROWS, Select, Snapshot},
};
use ledger::{Account, Clawback, Grant, Hold, Name, Reversal, Transaction};
use serde_json::{Value, json};
use std::{io::Write, sync::Arc};

/// The first line names it.
const FORMAT: &str = "token-ledger-export/1";

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The text can't be written.
    #[error("the export can't be written: {0}")]
    Write(#[from] std::io::Error),
}

/// Writes all of it.
///
/// # Errors
/// If the database can't be read, or the text not be written.
pub async fn export(snapshot: &mut Snapshot, to: &mut impl Write) -> Result<(), ExportError> {
    let mut stream = snapshot.positions().await?.into_iter();
    // Null if somebody has taken its row away: that is for whoever verifies to say.
    let (epoch, position) = stream.next().map(|it| (it.epoch, it.position)).unzip();
    line(to, &json!({ "format": FORMAT, "epoch": epoch, "position": position }))?;

    let by_name = |of: Table, columns, names| (of.name, of.columns, Key::named(columns, names));
    let (accounts, entries) = (Account::TABLE, Posting::TABLE);
    let transactions = Arc::<Transaction>::TABLE;
    for (table, columns, key) in [
        ("chain_keys", &["key_id", "check_code"][..], Key::text("key_id", &["key_id"])),
        ("commits", &["position", "entries"], Key::number("position", &["position"])),
        (
            transactions.name,
            transactions.columns,
            Key::ordered("transaction_id, account_id", &["transaction_id", "account_id"]),
        ),
        (accounts.name, accounts.columns, Key::text("account_id", &["account_id"])),
        (
            entries.name,
            entries.columns,
            Key::numbered("account_id, sequence", &["account_id", "sequence"]),
        ),
        by_name(<(Name, Grant)>::TABLE, "account_id, grant_id", &["account_id", "grant_id"]),
        by_name(<(Name, Hold)>::TABLE, "account_id, hold_id", &["account_id", "hold_id"]),
        by_name(
            <(Name, Reversal)>::TABLE,
            "account_id, transaction_id",
            &["account_id", "transaction_id"],
        ),
        by_name(
            <(Name, Clawback)>::TABLE,
            "account_id, transaction_id",
            &["account_id", "transaction_id"],
        ),
    ] {
        let head = format!("SELECT {} FROM {{}}{table} WHERE", columns.join(", "));
        let select = Select { head, key, only: None, rows: PAGE_ROWS, packed: None };
        let mut after = (key.start)();
        loop {
            let page = snapshot.verbatim(&select, &after).await?;
            for (_, row) in &page {
                line(to, &json!({ "table": table, "row": row }))?;
            }
            let is_last = page.len() < select.rows;
            match page.into_iter().last() {
                Some((last, _)) if !is_last => after = last,
                Some(_) | None => break,
            }
        }
    }
    Ok(to.flush()?)
}

fn line(to: &mut impl Write, value: &Value) -> Result<(), std::io::Error> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}
