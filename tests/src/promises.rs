//! What callers were told, held against what the ledger says: what was acknowledged is there, what
//! was refused is not, and what nobody knows is there once or not at all.

mod load;

pub use load::Load;

use proto::v1::{
    BatchCommand, BatchMode, BatchRequest, BatchResult, CreditRequest, DebitRequest,
    GetBalanceRequest, GrantKind, ListTransactionsRequest, Transaction, TransactionType,
    batch_command::Command, token_service_client::TokenServiceClient,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status, transport::Channel};

/// Asks a service.
pub type Client = TokenServiceClient<Channel>;

/// Tokens of the account that is never empty.
const PLENTY: i64 = 1_000_000;

/// Tokens of the account that soon is.
const LITTLE: i64 = 400;

/// One debit in so many is on the account that soon is empty.
const LITTLE_ONE_IN: u8 = 8;

/// The longest that something is under way without anything else being done.
const UNDER_WAY_MAX: Duration = Duration::from_secs(1);

/// Debits that are repeated at once.
const REPEATED_MAX: usize = 500;

/// What a caller knows of one key.
#[derive(Clone, Debug)]
pub enum Known {
    /// It was done, and this is it.
    Acknowledged(Box<Transaction>),
    /// It wasn't done.
    Refused,
    /// No answer came, or one that says that nobody knows.
    Nothing,
}

/// What callers know of each account and key.
pub type Promises = BTreeMap<(String, String), Known>;

/// Two accounts to debit: one is never empty, one soon is.
#[derive(Clone, Debug)]
pub struct Accounts {
    plenty: String,
    little: String,
}

impl Accounts {
    /// Makes two accounts whose names end so, with their tokens.
    ///
    /// # Panics
    /// If the service refuses.
    pub async fn fill(client: &Client, ending: &str) -> Self {
        let (plenty, little) = (format!("plenty{ending}"), format!("little{ending}"));
        credit(client, &plenty, PLENTY).await;
        credit(client, &little, LITTLE).await;
        Self { plenty, little }
    }

    /// One debit of 1 on either account, whose caller waits for only so long. What the caller knows
    /// then is kept in `promises`; the answer is given if it was neither a yes nor a no.
    ///
    /// # Panics
    /// If the answer is one that nobody should get.
    pub async fn debit(
        &self,
        client: &Client,
        key: String,
        patience: Duration,
        promises: &mut Promises,
    ) -> Option<Status> {
        let is_little = fastrand::u8(0..LITTLE_ONE_IN) == 0;
        let account = if is_little { &self.little } else { &self.plenty };
        let mut client = client.clone();
        let answer = timeout(patience, client.debit(request(account, &key))).await;
        let (known, status) = match answer {
            Ok(Ok(answer)) => {
                let answer = answer.into_inner();
                assert!(!answer.replayed, "{account} {key} was asked for once");
                let transaction = answer.transaction.expect("a debit posts one");
                (Known::Acknowledged(Box::new(transaction)), None)
            }
            Ok(Err(status)) if status.code() == Code::FailedPrecondition => (Known::Refused, None),
            Ok(Err(status)) => (Known::Nothing, Some(status)),
            Err(_) => (Known::Nothing, None),
        };
        promises.insert((account.clone(), key), known);
        status
    }

    /// Waits until nothing happens any more: what callers have given up may still be under way.
    ///
    /// # Panics
    /// If the service doesn't answer.
    pub async fn settle(&self, client: &Client) {
        let mut before = None;
        loop {
            let found = [debits(client, &self.plenty).await, debits(client, &self.little).await];
            let done = Some(found.map(|debits| debits.len()));
            if done == before {
                return;
            }
            before = done;
            sleep(UNDER_WAY_MAX).await;
        }
    }

    /// Holds what the callers of these accounts know against what the ledger says, and repeats what
    /// nobody knows.
    ///
    /// # Panics
    /// If it isn't as promised.
    pub async fn check(&self, client: &Client, promises: &Promises) {
        for (account, filled) in [(&self.plenty, PLENTY), (&self.little, LITTLE)] {
            let own = promises.iter().filter(|((name, _), _)| name == account);
            let own: BTreeMap<&str, &Known> =
                own.map(|((_, key), known)| (key.as_str(), known)).collect();
            let before = debits(client, account).await;
            for key in before.keys() {
                assert!(own.contains_key(key.as_str()), "{account} {key}: nobody asked for it");
            }
            let mut unknown = Vec::new();
            for (key, known) in own {
                let there = before.get(key);
                match known {
                    Known::Acknowledged(it) => {
                        assert_eq!(there, Some(&**it), "{account} {key} was promised");
                    }
                    Known::Refused => assert_eq!(there, None, "{account} {key} was refused"),
                    Known::Nothing => unknown.push(key),
                }
            }
            repeat(client, account, &unknown, &before).await;
            adds_up(client, account, filled).await;
        }
    }
}

/// Asks again for what nobody knows: it is done now, unless it was or can't be; then asks a third
/// time, and gets the same answer.
async fn repeat(
    client: &Client,
    account: &str,
    keys: &[&str],
    before: &BTreeMap<String, Transaction>,
) {
    for keys in keys.chunks(REPEATED_MAX) {
        let second = batch(client, account, keys).await;
        let third = batch(client, account, keys).await;
        for (key, (second, third)) in keys.iter().zip(second.into_iter().zip(third)) {
            let there = before.get(*key);
            assert_eq!(second.replayed, there.is_some(), "{account} {key}: {second:?}");
            assert!(there.is_none() || there == second.transaction.as_ref(), "{account} {key}");
            assert_eq!(third.replayed, second.transaction.is_some(), "{account} {key}");
            assert_eq!(third.transaction, second.transaction, "{account} {key}");
        }
    }
}

/// The account's entries follow on each other, and its balance is what they leave.
async fn adds_up(client: &Client, account: &str, filled: i64) {
    let debits = debits(client, account).await;
    let mut entries: Vec<_> = debits.values().flat_map(|it| &it.entries).collect();
    entries.sort_by_key(|entry| entry.sequence);
    let mut balance = filled;
    for (entry, sequence) in entries.iter().zip(2..) {
        balance += entry.amount;
        assert_eq!((entry.sequence, entry.balance_after), (sequence, balance), "{account}");
    }
    let query = GetBalanceRequest { account_id: account.to_owned(), ..Default::default() };
    let answer = client.clone().get_balance(query).await.expect("a balance").into_inner();
    let posted = answer.balance.expect("a balance").posted;
    assert_eq!(posted, balance, "{account}");
    assert!(posted >= 0, "{account}");
}

/// The account's debits by their keys.
async fn debits(client: &Client, account: &str) -> BTreeMap<String, Transaction> {
    let mut client = client.clone();
    let mut found = BTreeMap::new();
    let mut query = ListTransactionsRequest {
        account_id: account.to_owned(),
        page_size: 1_000,
        types: vec![TransactionType::Debit.into()],
        ..ListTransactionsRequest::default()
    };
    loop {
        let page = client.list_transactions(query.clone()).await.expect("a page").into_inner();
        for transaction in page.transactions {
            let key = transaction.idempotency_key.clone();
            assert!(found.insert(key, transaction).is_none(), "{account}: the same key twice");
        }
        if page.next_page_token.is_empty() {
            return found;
        }
        query.page_token = page.next_page_token;
    }
}

async fn batch(client: &Client, account: &str, keys: &[&str]) -> Vec<BatchResult> {
    let command =
        |key: &&str| BatchCommand { command: Some(Command::Debit(request(account, key))) };
    let request = BatchRequest {
        commands: keys.iter().map(command).collect(),
        mode: BatchMode::Independent.into(),
        dry_run: false,
    };
    client.clone().batch(request).await.expect("a batch").into_inner().results
}

/// Tokens for an account, under the key `fill`.
///
/// # Panics
/// If the service refuses.
pub async fn credit(client: &Client, account: &str, amount: i64) {
    let request = CreditRequest {
        account_id: account.to_owned(),
        idempotency_key: "fill".to_owned(),
        amount,
        kind: GrantKind::Purchased.into(),
        ..CreditRequest::default()
    };
    client.clone().credit(request).await.expect("credited");
}

/// A debit of 1.
#[must_use]
pub fn request(account: &str, key: &str) -> DebitRequest {
    DebitRequest {
        account_id: account.to_owned(),
        idempotency_key: key.to_owned(),
        amount: 1,
        ..DebitRequest::default()
    }
}
