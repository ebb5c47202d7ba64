//! What a person reads who starts the service by hand: that it runs, and what to try.

use crate::serve::Running;

/// Who shows one.
const BEARER: &str = " -H \"authorization: Bearer $TOKEN\"";

/// How to get one where callers are identified by the secrets that they share with the service.
const ASK_FOR_A_TOKEN: &str =
    "\n  TOKEN=$(token-service token --for me --scopes tokens:admin)   # or your issuer's";

/// A few lines for the terminal.
#[must_use]
pub fn text(running: &Running) -> String {
    let address = running.address;
    let economy = &running.economy;
    let transport = match (running.speaks_tls, running.wants_certificates) {
        (false, _) => "-plaintext",
        (true, false) => "-cacert AUTHORITY.pem",
        (true, true) => "-cacert AUTHORITY.pem -cert YOURS.pem -key YOURS.key",
    };
    let (bearer, ask) = match (running.takes_tokens, running.makes_tokens) {
        (true, true) => (BEARER, ASK_FOR_A_TOKEN),
        (true, false) => (BEARER, ""),
        (false, _) => ("", ""),
    };
    let grpcurl = format!("grpcurl {transport}{bearer}");
    let call = format!("{grpcurl} -d '{{\"account_id\":\"alice\"");
    let service = format!("{address} token.v1.TokenService");
    format!(
        "token-service answers on {address} with the {economy} catalog. Try:
{ask}
  {grpcurl} {address} list
  {call},\"idempotency_key\":\"buy-1\",\"amount\":100,\"kind\":\"GRANT_KIND_PURCHASED\"}}' {service}/Credit
  {call},\"idempotency_key\":\"use-1\",\"amount\":1}}' {service}/Debit
  {call}}}' {service}/GetBalance
  {call}}}' {service}/ListTransactions

"
    )
}
