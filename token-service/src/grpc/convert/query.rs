//! Requests that only read: which account, which rows, which page.

use super::{
    fields::{ACCOUNT_ID_CHARS_MAX, Fields, NAME_CHARS_MAX, TEXT_CHARS_MAX, Terms},
    wire,
};
use crate::{
    grpc::page::Page,
    identity::method,
    store::{AccountQuery, StatementQuery, TransactionQuery},
};
use ledger::{AccountId, Grant, HoldState, Name, Status, Time, TransactionId, TransactionType};
use proto::{reason::Error, v1};
use serde::{Deserialize, Serialize};
use std::mem::take;

/// The most accounts of one BatchGetBalances.
const ACCOUNTS_MAX: usize = 1_000;

/// Where a row stands in a list that begins in the account's row, ordered by `R`, and goes on with
/// those that ended, by id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place<R> {
    /// In the account's row.
    Row(R),
    /// Among those that ended.
    Ended(TransactionId),
}

/// The one account that a request names.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn account(account_id: &str, terms: Terms<'_>) -> Result<AccountId, Error> {
    Fields::read(terms, |fields| fields.account("account_id", account_id))
}

/// The accounts that a request names, in its order.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn accounts(account_ids: &[String], terms: Terms<'_>) -> Result<Vec<AccountId>, Error> {
    Fields::read(terms, |fields| {
        let many = format!("give 1 to {ACCOUNTS_MAX} accounts");
        fields.check((1..=ACCOUNTS_MAX).contains(&account_ids.len()), "account_ids", &many);
        let ids = account_ids.iter().enumerate();
        let ids = ids.map(|(index, id)| fields.account(&format!("account_ids[{index}]"), id));
        // All of them first: the fields of every one are to be named.
        ids.collect::<Vec<_>>().into_iter().collect()
    })
}

/// Before and after all characters of ids: these are visible ASCII.
const FIRST_CHARACTER: char = '!';
const AFTER_ALL_CHARACTERS: char = '\x7f';

/// Reads a ListAccounts: the rows, and the page, whose places are ids.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn account_list(
    mut request: v1::ListAccountsRequest,
    terms: Terms<'_>,
) -> Result<(AccountQuery, Page<AccountId>), Error> {
    let (size, token) = (take(&mut request.page_size), take(&mut request.page_token));
    Fields::read(terms, |fields| {
        let page = Page::<AccountId>::read(fields, "ListAccounts", (size, &token), &request);
        let prefix = fields.account_prefix("prefix", &request.prefix);
        let status = match v1::AccountStatus::try_from(request.status) {
            Ok(v1::AccountStatus::Unspecified) => Some(None),
            Ok(v1::AccountStatus::Active) => Some(Some(Status::Active)),
            Ok(v1::AccountStatus::Frozen) => Some(Some(Status::Frozen)),
            Ok(v1::AccountStatus::Closed) => Some(Some(Status::Closed)),
            Err(_) => fields.fail("status", "give active, frozen or closed"),
        };
        let (page, prefix) = (page?, prefix?);
        let start = match page.after.as_ref() {
            None => prefix.clone(),
            // The least id after this one. Whoever made the token up stays within the prefix.
            Some(after) => {
                let after =
                    fields.visible("page_token", after.as_str(), 1, ACCOUNT_ID_CHARS_MAX)?;
                format!("{after}{FIRST_CHARACTER}").max(prefix.clone())
            }
        };
        let ids = start..format!("{prefix}{AFTER_ALL_CHARACTERS}");
        Some((AccountQuery { ids, status: status?, limit: page.rows_max + 1 }, page))
    })
}

/// Reads a GetStatement: the rows, the page, whose places are the numbers of entries, and how to write
/// it.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn statement(
    mut request: v1::GetStatementRequest,
    terms: Terms<'_>,
) -> Result<(StatementQuery, Page<i64>, v1::StatementFormat), Error> {
    let (size, token) = (take(&mut request.page_size), take(&mut request.page_token));
    Fields::read(terms, |fields| {
        let page = Page::read(fields, "GetStatement", (size, &token), &request);
        let account = fields.account("account_id", &request.account_id);
        let period =
            fields.period(("start_time", request.start_time), ("end_time", request.end_time));
        let format = v1::StatementFormat::try_from(request.format).ok();
        let format = format.or_else(|| fields.fail("format", "give structured or csv"));
        let ((start, end), page) = (period?, page?);
        let (after, limit) = (page.after, page.rows_max + 1);
        let query = StatementQuery { account: account?, start, end, after, limit };
        Some((query, page, format?))
    })
}

/// Reads a GetStats: from when until when.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn stats(
    request: &v1::GetStatsRequest,
    terms: Terms<'_>,
) -> Result<(Option<Time>, Option<Time>), Error> {
    Fields::read(terms, |fields| {
        fields.period(("start_time", request.start_time), ("end_time", request.end_time))
    })
}

/// Whose balance, as of when, and at least how new.
#[derive(Clone, Debug)]
pub struct BalanceQuery {
    /// The account.
    pub account: AccountId,
    /// As of this past time; `None`: now.
    pub as_of: Option<Time>,
    /// The entry that the caller has seen.
    pub min_sequence: i64,
}

/// Reads a GetBalance at `now`.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn balance(
    request: &v1::GetBalanceRequest,
    terms: Terms<'_>,
    now: Time,
) -> Result<BalanceQuery, Error> {
    Fields::read(terms, |fields| {
        let account = fields.account("account_id", &request.account_id);
        let as_of = fields.time("as_of_time", request.as_of_time);
        let past = as_of.flatten().is_none_or(|as_of| as_of <= now);
        fields.check(past, "as_of_time", "give a time that isn't in the future");
        let min_sequence = fields.within_range("min_sequence", request.min_sequence, 0, i64::MAX);
        Some(BalanceQuery { account: account?, as_of: as_of?, min_sequence: min_sequence? })
    })
}

/// A transaction as a caller names it.
#[derive(Clone, Debug)]
pub struct TransactionName {
    /// Which one it is.
    pub name: Name,
    /// The field that named it.
    pub named_by: &'static str,
    /// What that field says.
    pub text: String,
}

/// Reads a GetTransaction.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn transaction(
    request: &v1::GetTransactionRequest,
    terms: Terms<'_>,
) -> Result<TransactionName, Error> {
    use v1::get_transaction_request::Name as Wire;
    Fields::read(terms, |fields| {
        let account = fields.account("account_id", &request.account_id);
        let (id, named_by, text) = match &request.name {
            None => return fields.fail("name", "give transaction_id or idempotency_key"),
            Some(Wire::TransactionId(text)) => {
                (fields.id("transaction_id", text), "transaction_id", text.clone())
            }
            Some(Wire::IdempotencyKey(text)) => {
                let key = fields.known_key("idempotency_key", text);
                let id = account.as_ref().zip(key).map(|(of, key)| TransactionId::of(of, &key));
                (id, "idempotency_key", text.clone())
            }
        };
        Some(TransactionName { name: (account?, id?), named_by, text })
    })
}

/// Reads a ListTransactions: the rows, without where they begin, and the page, whose places are an
/// account and the number of its entry.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn transactions(
    mut request: v1::ListTransactionsRequest,
    terms: Terms<'_>,
) -> Result<(TransactionQuery, Page<(AccountId, i64)>), Error> {
    let (size, token) = (take(&mut request.page_size), take(&mut request.page_token));
    Fields::read(terms, |fields| {
        let page = Page::read(fields, "ListTransactions", (size, &token), &request);
        let account = match request.account_id.as_str() {
            "" => fields.may(method::ADMIN).and(fields.all_accounts("account_id")).map(|()| None),
            id => fields.account("account_id", id).map(Some),
        };
        let types = request.types.iter().map(|kind| {
            let known = TransactionType::ALL.into_iter();
            let found = known.clone().find(|it| i32::from(wire::transaction_type(*it)) == *kind);
            found.or_else(|| fields.fail("types", "give types of transactions"))
        });
        let types: Option<Vec<_>> = types.collect();
        let action = unless_empty(&request.action, |action| {
            fields.visible("action", action, 1, NAME_CHARS_MAX)
        });
        let reference =
            unless_empty(&request.reference, |text| fields.text("reference", text, TEXT_CHARS_MAX));
        let description = unless_empty(&request.description, |text| {
            fields.text("description", text, TEXT_CHARS_MAX)
        });
        let metadata = fields.metadata(&request.metadata);
        let period =
            fields.period(("start_time", request.start_time), ("end_time", request.end_time));
        let ((start, end), page) = (period?, page?);
        let query = TransactionQuery {
            account: account?,
            before: page.after.clone(),
            limit: page.rows_max + 1,
            types: types?,
            action: action?,
            start,
            end,
            reference: reference?,
            description: description?,
            metadata: metadata?,
        };
        Some((query, page))
    })
}

/// Which grants.
#[derive(Debug)]
pub struct GrantQuery {
    /// Whose.
    pub account: AccountId,
    /// In which states.
    pub states: Vec<v1::GrantState>,
    /// Which page; those in the account's row are in burn-down order.
    pub page: Page<Place<Grant>>,
}

/// Reads a ListGrants.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn grants(mut request: v1::ListGrantsRequest, terms: Terms<'_>) -> Result<GrantQuery, Error> {
    use v1::GrantState::{Closed, Open, Scheduled, Unspecified};
    let (size, token) = (take(&mut request.page_size), take(&mut request.page_token));
    Fields::read(terms, |fields| {
        let page = Page::read(fields, "ListGrants", (size, &token), &request);
        let account = fields.account("account_id", &request.account_id);
        let states = match (v1::GrantState::try_from(request.state), request.all_states) {
            (Ok(Unspecified), true) => Some(vec![Scheduled, Open, Closed]),
            (Ok(Unspecified), false) => Some(vec![Scheduled, Open]),
            (Ok(state), false) => Some(vec![state]),
            (Ok(_), true) => fields.fail("state", "leave it out: all states are asked for"),
            (Err(_), _) => fields.fail("state", "give scheduled, open or closed"),
        };
        Some(GrantQuery { account: account?, states: states?, page: page? })
    })
}

/// Which holds.
#[derive(Debug)]
pub struct HoldQuery {
    /// Whose.
    pub account: AccountId,
    /// In which state; `None`: in any.
    pub state: Option<HoldState>,
    /// Which page; those in the account's row are in the order of their entries.
    pub page: Page<Place<i64>>,
}

/// Reads a ListHolds.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn holds(mut request: v1::ListHoldsRequest, terms: Terms<'_>) -> Result<HoldQuery, Error> {
    let (size, token) = (take(&mut request.page_size), take(&mut request.page_token));
    Fields::read(terms, |fields| {
        let page = Page::read(fields, "ListHolds", (size, &token), &request);
        let account = fields.account("account_id", &request.account_id);
        let state = match v1::HoldState::try_from(request.state) {
            Ok(v1::HoldState::Unspecified) if request.all_states => Some(None),
            Ok(_) if request.all_states => {
                fields.fail("state", "leave it out: all states are asked for")
            }
            Ok(v1::HoldState::Unspecified | v1::HoldState::Open) => Some(Some(HoldState::Open)),
            Ok(v1::HoldState::Captured) => Some(Some(HoldState::Captured)),
            Ok(v1::HoldState::Released) => Some(Some(HoldState::Released)),
            Ok(v1::HoldState::Expired) => Some(Some(HoldState::Expired)),
            Err(_) => fields.fail("state", "give open, captured, released or expired"),
        };
        Some(HoldQuery { account: account?, state: state?, page: page? })
    })
}

/// Reads a GetUsage: the account, and from when until when.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn usage(
    request: &v1::GetUsageRequest,
    terms: Terms<'_>,
) -> Result<(AccountId, Option<Time>, Option<Time>), Error> {
    Fields::read(terms, |fields| {
        let account = fields.account("account_id", &request.account_id);
        let period =
            fields.period(("start_time", request.start_time), ("end_time", request.end_time));
        let (start, end) = period?;
        Some((account?, start, end))
    })
}

/// A filter that may be left out.
fn unless_empty<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { read(text).map(Some) }
}
