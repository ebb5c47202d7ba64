//! What to try.

use crate::{
    Settings,
    start::{Running, USER},
};

/// What is printed once everything answers.
pub fn text(settings: &Settings, running: &Running) -> String {
    let Running { tokens, pages, operators, stripe_url, service_key, link, .. } = running;
    let (catalog, data) = (&settings.catalog, settings.data_dir.display());
    format!(
        "\
Everything answers. The {catalog} economy, kept in {data}; Stripe is simulated, no money moves.

  Buy tokens as the user `{USER}` (the link works once):
    {link}
  Pay with 4242 4242 4242 4242, any date, any code; 4000 0000 0000 0002 is declined.

  pages and API   http://{pages}/tokens/buy   http://{pages}/openapi.json
  token-service   {tokens}
  operators       {operators}
  Stripe          {stripe_url}   (its clock and faults: {stripe_url}/_sim)

  grpcurl -plaintext -d '{{\"account_id\":\"{USER}\"}}' {tokens} token.v1.TokenService/GetBalance
  grpcurl -plaintext -d '{{\"account_id\":\"{USER}\",\"idempotency_key\":\"try-1\",\"amount\":1}}' {tokens} token.v1.TokenService/Debit
  grpcurl -plaintext -d '{{}}' {operators} payments.v1.OperatorService/ListPurchases
  curl -s http://{pages}/v1/packages
  curl -s http://{pages}/v1/sessions -H 'authorization: Bearer {service_key}' -H 'content-type: application/json' \\
    -d '{{\"account_id\":\"{USER}\",\"use\":\"link\"}}'     # another link

"
    )
}
