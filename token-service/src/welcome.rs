//! What a person reads who starts the service by hand: that it runs, and what to try.

use crate::serve::Running;

/// A few lines for the terminal.
#[must_use]
pub fn text(running: &Running) -> String {
    let address = running.address;
    let economy = &running.economy;
    let call = "grpcurl -plaintext -d '{\"account_id\":\"alice\"";
    let service = format!("{address} token.v1.TokenService");
    format!(
        "token-service answers on {address} with the {economy} catalog. Try:

  grpcurl -plaintext {address} list
  {call},\"idempotency_key\":\"buy-1\",\"amount\":100,\"kind\":\"GRANT_KIND_PURCHASED\"}}' {service}/Credit
  {call},\"idempotency_key\":\"use-1\",\"amount\":1}}' {service}/Debit
  {call}}}' {service}/GetBalance
  {call}}}' {service}/ListTransactions

"
    )
}
