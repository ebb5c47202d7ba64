//! An account's history as a bookkeeper wants it: what was there, what happened, what is left.
//!
//! Entries are immutable and numbered, so pages fit together whoever writes meanwhile. But a lapse is
//! dated when it was due: one that nobody had posted yet would turn up later, in a period that was told
//! already. So what is due is posted first, as the sweeper would do it.

use super::{
    Api, Asked,
    convert::{query, wire},
    csv::Table,
    status,
};
use crate::{store::StatementQuery, sweeper};
use ledger::{Balance, Entry, Transaction};
use proto::{reason::Error, v1};

/// The columns: whose they are (`Table::text`) or ours (`Table::cell`) is decided in [`row`].
const COLUMNS: [&str; 18] = [
    "create_time",
    "sequence",
    "transaction_id",
    "type",
    "amount",
    "held_delta",
    "balance_after",
    "held_after",
    "counter_account",
    "split_account",
    "split_amount",
    "action",
    "quantity",
    "description",
    "reference",
    "idempotency_key",
    "actor",
    "on_behalf_of",
];

impl Api {
    pub(super) async fn get_statement(
        &self,
        (caller, request): Asked<v1::GetStatementRequest>,
    ) -> Result<v1::GetStatementResponse, Error> {
        let (query, page, format) = query::statement(request, self.terms(&caller))?;
        self.settle(&query).await?;
        let found = self.store.statement(&query).await;
        let found = found.map_err(|error| status::unread(&error))?;

        let rows = found.transactions.iter();
        let rows = rows.map(|it| (it.own().sequence, wire::transaction(it))).collect();
        let (transactions, next_page_token) = page.cut(rows);
        let told = found.transactions.get(..transactions.len()).unwrap_or_default();
        let closing = told.last().map_or(found.opening, |last| after(last.own()));
        let csv = match format {
            v1::StatementFormat::Csv => csv(told, query.after.is_none()),
            v1::StatementFormat::Unspecified | v1::StatementFormat::Structured => String::new(),
        };
        let account = query.account.as_str();
        Ok(v1::GetStatementResponse {
            opening_balance: Some(wire::balance(account, found.opening)),
            transactions,
            closing_balance: Some(wire::balance(account, closing)),
            csv,
            next_page_token,
        })
    }

    /// Posts what was due in the period.
    async fn settle(&self, query: &StatementQuery) -> Result<(), Error> {
        let found = self.existing(&query.account).await?;
        let due = found.row.due().filter(|due| *due <= found.at);
        if due.is_some_and(|due| query.end.is_none_or(|end| due < end)) {
            self.submit(sweeper::job(query.account.clone())).await?;
        }
        Ok(())
    }
}

fn after(entry: &Entry) -> Balance {
    let Entry { balance_after, held_after, sequence, .. } = *entry;
    Balance { posted: balance_after, held: held_after, sequence }
}

/// The page as a table; the first one has names above its columns, so that pages make one file.
fn csv(transactions: &[Transaction], is_first: bool) -> String {
    let mut table = Table::default();
    if is_first {
        table.head(&COLUMNS);
    }
    transactions.iter().for_each(|transaction| row(transaction, &mut table));
    table.finish()
}

fn row(transaction: &Transaction, table: &mut Table) {
    let (entry, note) = (transaction.own(), &transaction.note);
    let split = entry.split.as_ref();
    table.cell(&wire::time(transaction.created).to_string());
    table.cell(&entry.sequence.to_string());
    table.cell(&transaction.id.to_string());
    table.cell(transaction.kind.as_str());
    table.cell(&entry.amount.to_string());
    table.cell(&entry.held_delta.to_string());
    table.cell(&entry.balance_after.to_string());
    table.cell(&entry.held_after.to_string());
    table.text(entry.counter.as_str());
    table.text(split.map_or("", |split| split.account.as_str()));
    table.cell(&split.map_or(0, |split| split.amount).to_string());
    table.text(transaction.action.as_deref().unwrap_or_default());
    table.cell(&transaction.quantity.to_string());
    table.text(&note.description);
    table.text(&note.reference);
    table.text(&transaction.key);
    table.text(&note.actor);
    table.text(&note.on_behalf_of);
    table.end();
}
