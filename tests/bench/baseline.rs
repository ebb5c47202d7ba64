//! The ways without batching as servers: token-service's Debit on token-service's tonic settings, a
//! database transaction per request. Only what is compared is there.

use crate::statements::{AGAIN, DEBIT, FILL, INSERT, LOCK, TABLES, UPDATE, Way};
use proto::v1::{Balance, DebitRequest, DebitResponse, token_service_server::TokenServiceServer};
use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{error::Error, str::FromStr as _, time::Duration};
use token_service::grpc::{RequestLayer, Timeouts};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    transport::{Server, server::TcpIncoming},
};

/// A request waits so long for a connection: 256 of them wait for 8.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Tokens that every account begins with: more than any run can spend.
const TOKENS: i64 = 1_000_000_000;

/// Serves one way; its first line says where.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How a debit is done.
    #[arg(long, value_enum)]
    way: Way,

    /// The database.
    #[arg(long)]
    postgres: String,

    /// Connections to it.
    #[arg(long)]
    pool: u32,
}

/// Makes the tables, with accounts that have tokens.
pub async fn prepare(url: &str, accounts: u64) -> Result<(), Box<dyn Error>> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(TABLES).await?;
    sqlx::query(FILL)
        .bind(i64::try_from(accounts)?)
        .bind(i64::try_from(crate::accounts::FIRST)?)
        .bind(TOKENS)
        .execute(&mut connection)
        .await?;
    connection.execute("VACUUM ANALYZE accounts").await?;
    Ok(connection.close().await?)
}

/// Answers until it is killed. The settings are those of token-service, as far as they say anything
/// about speed.
pub async fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let options = PgConnectOptions::from_str(&arguments.postgres)?.disable_statement_logging();
    let pool = PgPoolOptions::new()
        .min_connections(arguments.pool)
        .max_connections(arguments.pool)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A round trip a request otherwise: the strongest way goes without.
        .test_before_acquire(false)
        .connect_with(options)
        .await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{:?} answers on {}", arguments.way, listener.local_addr()?);
    let timeouts = Timeouts { call_max: ACQUIRE_TIMEOUT, receive: ACQUIRE_TIMEOUT };
    let layer = RequestLayer::new(timeouts, CancellationToken::new());
    let service = TokenServiceServer::new(Baseline { way: arguments.way, pool });
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().layer(layer).max_concurrent_streams(128).add_service(service);
    Ok(server.serve_with_incoming(incoming).await?)
}

/// One of the ways.
#[derive(Debug)]
pub struct Baseline {
    way: Way,
    pool: PgPool,
}

impl Baseline {
    /// Sequence and balance after the debit.
    pub async fn debit(&self, request: &DebitRequest) -> Result<DebitResponse, Status> {
        let done = match self.way {
            Way::PerRequest => self.per_request(request).await,
            Way::OneStatement => self.one_statement(request).await,
        };
        let (replayed, done) = match done {
            Err(error) if error.as_database_error().is_some_and(|it| it.is_unique_violation()) => {
                (true, self.again(request).await)
            }
            done => (false, done),
        };
        let done = done.map_err(|error| Status::unavailable(error.to_string()))?;
        let (sequence, balance) = done.ok_or_else(|| Status::failed_precondition("too little"))?;
        let account_id = request.account_id.clone();
        let balance =
            Balance { account_id, posted: balance, available: balance, sequence, held: 0 };
        Ok(DebitResponse { transaction: None, balance: Some(balance), replayed })
    }

    #[expect(clippy::disallowed_methods, reason = "the load generator gives no call up")]
    async fn per_request(&self, request: &DebitRequest) -> Result<Option<(i64, i64)>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let account = sqlx::query_as::<_, (i64, i64)>(LOCK).bind(&request.account_id);
        let Some((balance, sequence)) = account.fetch_optional(&mut *transaction).await? else {
            return Ok(None);
        };
        if balance < request.amount {
            return Ok(None);
        }
        let (balance, sequence) = (balance - request.amount, sequence + 1);
        let update = sqlx::query(UPDATE).bind(&request.account_id).bind(balance).bind(sequence);
        update.execute(&mut *transaction).await?;
        let insert = sqlx::query(INSERT).bind(&request.account_id).bind(sequence);
        let insert = insert.bind(&request.idempotency_key).bind(request.amount).bind(balance);
        insert.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some((sequence, balance)))
    }

    async fn one_statement(
        &self,
        request: &DebitRequest,
    ) -> Result<Option<(i64, i64)>, sqlx::Error> {
        let debit = sqlx::query_as(DEBIT).bind(&request.account_id).bind(request.amount);
        debit.bind(&request.idempotency_key).fetch_optional(&self.pool).await
    }

    async fn again(&self, request: &DebitRequest) -> Result<Option<(i64, i64)>, sqlx::Error> {
        let again = sqlx::query_as(AGAIN).bind(&request.account_id).bind(&request.idempotency_key);
        again.fetch_optional(&self.pool).await
    }
}
