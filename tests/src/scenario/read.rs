//! The lines that only read.

use super::{
    charge::Charge,
    scope::Scope,
    time,
    words::{Words, Wrong},
};
use crate::target::Call;
use proto::v1::{self, get_transaction_request::Name};

/// More rows than any scenario makes.
const PAGE_SIZE: i32 = 1_000;

/// Reads a call that only reads, and what the thing found is called.
pub(super) fn read(
    command: &str,
    words: &mut Words,
    scope: &mut Scope,
) -> Result<(Call, Option<String>), Wrong> {
    let call: Call = match command {
        "balance" => {
            let account_id = words.word("an account")?;
            let at = words.take("at").then(|| words.time(scope.now)).transpose()?;
            let as_of_time = at.map(time::to_wire);
            v1::GetBalanceRequest { account_id, as_of_time, min_sequence: 0 }.into()
        }
        "account" => v1::GetAccountRequest { account_id: words.word("an account")? }.into(),
        "grants" => {
            let account_id = words.word("an account")?;
            let all_states = !words.take("open");
            let page_size = PAGE_SIZE;
            v1::ListGrantsRequest { account_id, page_size, all_states, ..Default::default() }.into()
        }
        "holds" => {
            let account_id = words.word("an account")?;
            let all_states = !words.take("open");
            let page_size = PAGE_SIZE;
            v1::ListHoldsRequest { account_id, page_size, all_states, ..Default::default() }.into()
        }
        "transactions" => v1::ListTransactionsRequest {
            account_id: words.word("an account")?,
            page_size: PAGE_SIZE,
            ..Default::default()
        }
        .into(),
        "usage" => usage(words, scope)?,
        "quote" => quote(words)?,
        "transaction" => return transaction(words, scope),
        other => return Err(Wrong::new("a command", format!("`{other}`"))),
    };
    words.end("the line's end")?;
    Ok((call, None))
}

/// `usage alice [from TIME] [until TIME]`.
fn usage(words: &mut Words, scope: &Scope) -> Result<Call, Wrong> {
    let account_id = words.word("an account")?;
    let start = words.take("from").then(|| words.time(scope.now)).transpose()?;
    let end = words.take("until").then(|| words.time(scope.now)).transpose()?;
    let (start_time, end_time) = (start.map(time::to_wire), end.map(time::to_wire));
    Ok(v1::GetUsageRequest { account_id, start_time, end_time }.into())
}

/// `quote alice import_domain x 3, ai_analysis`; `quote anyone …` is about prices only.
fn quote(words: &mut Words) -> Result<Call, Wrong> {
    let account = words.word("an account, or `anyone`")?;
    let account_id = if account == "anyone" { String::new() } else { account };
    let mut items = Vec::new();
    loop {
        let Charge { amount: 0, action, quantity } = Charge::read(words)? else {
            return Err(Wrong::new("an action", "an amount"));
        };
        items.push(v1::QuoteItem { action, quantity });
        if !words.take(",") {
            break;
        }
    }
    Ok(v1::QuoteRequest { account_id, items }.into())
}

/// `transaction d1`, or `transaction alice KEY`, where `{h1}` in the key is the id of `h1`.
fn transaction(words: &mut Words, scope: &mut Scope) -> Result<(Call, Option<String>), Wrong> {
    if let Ok(named) = scope.named(words, "a name") {
        words.end("the line's end")?;
        let name = Some(Name::TransactionId(named.id));
        return Ok((v1::GetTransactionRequest { account_id: named.account, name }.into(), None));
    }
    let account_id = words.word("the name of a transaction, or an account")?;
    let key = words.word("an idempotency key")?;
    let called = if words.take("as") { Some(words.word("a name")?) } else { None };
    words.end("`as` or the line's end")?;
    if let Some(name) = &called {
        scope.name(name, &account_id, &key)?;
    }
    let name = Some(Name::IdempotencyKey(key));
    Ok((v1::GetTransactionRequest { account_id, name }.into(), called))
}
