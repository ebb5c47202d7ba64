//! What the database refuses, whoever asks: the ledger is never rewritten.

use proto::v1::{CreditRequest, DebitRequest, GrantKind};
use sqlx::{Connection as _, SqliteConnection};
use tests::process::Process;

#[tokio::test]
async fn transactions_and_entries_can_be_neither_updated_nor_deleted_nor_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(folder.path(), &[]).await;
    let mut client = process.client().await;
    let account_id = "alice".to_owned();
    let credit = CreditRequest {
        account_id: account_id.clone(),
        idempotency_key: "k".to_owned(),
        amount: 10,
        kind: GrantKind::Purchased.into(),
        ..CreditRequest::default()
    };
    client.credit(credit).await.expect("credited");
    let idempotency_key = "d".to_owned();
    let debit = DebitRequest { account_id, idempotency_key, amount: 3, ..Default::default() };
    client.debit(debit).await.expect("debited");
    assert_eq!(process.terminate().await, Some(0));

    let file = format!("sqlite:{}", folder.path().join("ledger.db").display());
    let mut connection = SqliteConnection::connect(&file).await.expect("the file opens");
    for attempt in [
        "UPDATE transactions SET amount = amount + 1",
        "DELETE FROM transactions",
        "UPDATE entries SET balance_after = 1000",
        "DELETE FROM entries WHERE sequence = 2",
        "REPLACE INTO entries SELECT * FROM entries WHERE sequence = 2",
        "REPLACE INTO entries (rowid, account_id, sequence, transaction_id, create_time, amount, \
         held_delta, balance_after, held_after, counter_account, split_amount, changes, chain_key, \
         chain) SELECT rowid, 'mallory', sequence, transaction_id, create_time, amount, held_delta, \
         balance_after, held_after, counter_account, split_amount, changes, chain_key, chain \
         FROM entries",
        "REPLACE INTO transactions SELECT * FROM transactions",
    ] {
        let refused = sqlx::query(attempt).execute(&mut connection).await;
        let words = refused.expect_err("it is refused").to_string();
        assert!(words.contains("are never"), "{attempt}: {words}");
    }
    let entries: i64 = sqlx::query_scalar("SELECT sum(amount) FROM entries")
        .fetch_one(&mut connection)
        .await
        .expect("a sum");
    assert_eq!(entries, 7);
}
