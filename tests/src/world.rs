//! A real server per test: its own database, a free port, and a clock that stands where the test says.

use crate::{
    postgres,
    target::{Call, Reply, Target},
};
use proto::catalog::Catalog;
use proto::v1::{
    admin_service_client::AdminServiceClient, admin_service_server::AdminService as _,
    token_service_client::TokenServiceClient, token_service_server::TokenService as _,
};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use token_service::{
    clock::Clock,
    config::Config,
    grpc::{AdminApi, Api, TokenApi},
    identity::Caller,
    serve::{self, Running},
    store::Store,
};
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};

/// A server that runs.
#[derive(Debug)]
pub struct World {
    running: Running,
    clock: Arc<AtomicI64>,
    config: Config,
    // In this order: who runs on a database has stopped before it is given back.
    database: Option<postgres::Database>,
    folder: TempDir,
}

/// What a server that has stopped leaves behind.
#[derive(Debug)]
pub struct Left {
    /// The settings that it ran with.
    pub config: Config,
    /// Its database, if that isn't a file.
    pub database: Option<postgres::Database>,
    /// Where its files are.
    pub folder: TempDir,
}

/// So long that the sweeper sleeps: what lapses is posted by the commands that meet it.
const NEVER: Duration = Duration::from_secs(3_600);

/// What a server keeps its ledger in.
#[derive(Clone, Copy, Debug)]
pub enum On {
    /// A file of its own.
    Sqlite,
    /// A database of its own.
    Postgres,
}

/// The settings of a server on this database, with its files in `folder`.
///
/// # Panics
/// If they make no sense.
fn config(database: &str, folder: &Path, sweep_interval: Duration) -> Config {
    let arguments = [
        "token-service".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
        format!("--database={database}"),
        format!("--chain-key-file={}", folder.join("keys").display()),
        format!("--sweep-interval-ms={}", sweep_interval.as_millis()),
        // Nobody asks for it here, and it takes longest to come up.
        "--reflection=off".to_owned(),
    ];
    let config = Config::from_sources(arguments, &BTreeMap::new(), |path| fs::read_to_string(path));
    config.expect("settings that make sense").0
}

/// A database with the ledger's tables and nothing in them.
async fn migrated() -> postgres::Database {
    let migrate = async |url: String| {
        let store = Store::open(&config(&url, Path::new(""), NEVER)).await.expect("a store");
        store.migrate().await.expect("tables");
    };
    postgres::database_like("ledger", migrate).await
}

impl World {
    /// Starts a server under a catalog; it is the year 1970. What lapses is posted by the
    /// commands that meet it: the sweeper sleeps.
    ///
    /// # Panics
    /// If it doesn't come up.
    pub async fn start(catalog: &Catalog, on: On) -> Self {
        Self::start_sweeping(catalog, on, NEVER).await
    }

    /// The same, with a sweeper that looks every so often what is due by the test's clock.
    ///
    /// # Panics
    /// If it doesn't come up.
    pub async fn start_sweeping(catalog: &Catalog, on: On, interval: Duration) -> Self {
        let database = match on {
            On::Sqlite => None,
            On::Postgres => Some(migrated().await),
        };
        Self::start_in(catalog, database, interval).await
    }

    /// The same as [`World::start`], in a database that nobody used before or will use again: so it may
    /// be changed in whatever way.
    ///
    /// # Panics
    /// If it doesn't come up.
    pub async fn start_apart(catalog: &Catalog, on: On) -> Self {
        let database = match on {
            On::Sqlite => None,
            On::Postgres => Some(postgres::database().await),
        };
        Self::start_in(catalog, database, NEVER).await
    }

    async fn start_in(
        catalog: &Catalog,
        database: Option<postgres::Database>,
        interval: Duration,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = match &database {
            None => format!("sqlite:{}", folder.path().join("ledger.db").display()),
            Some(database) => database.url().to_owned(),
        };
        let config = config(&url, folder.path(), interval);
        let clock = Arc::new(AtomicI64::new(0));
        let manual = Clock::Manual(Arc::clone(&clock));
        let running = serve::start_under(catalog.clone(), &config, manual).await;
        Self { running: running.expect("it comes up"), clock, config, database, folder }
    }

    /// The settings that it runs with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Stops the server; what it leaves behind.
    ///
    /// # Panics
    /// If it doesn't stop in time.
    pub async fn leave(self) -> Left {
        assert!(self.running.stop().await, "it stops in time");
        Left { config: self.config, database: self.database, folder: self.folder }
    }

    /// The service on its database, asked in this process: what a server is without the wire.
    pub async fn service(catalog: &Catalog, on: On) -> Service {
        Self::start(catalog, on).await.into_service()
    }

    /// This server, asked in this process.
    #[must_use]
    pub fn into_service(self) -> Service {
        let api = self.running.api().clone();
        Service { token: TokenApi::new(api.clone()), admin: AdminApi::new(api), world: self }
    }

    /// The server, asked across the wire.
    ///
    /// # Panics
    /// If it can't be reached.
    pub async fn wire(catalog: &Catalog, on: On) -> Wire {
        Self::start(catalog, on).await.into_wire().await
    }

    /// This server, asked across the wire.
    ///
    /// # Panics
    /// If it can't be reached.
    pub async fn into_wire(self) -> Wire {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.running.address));
        let channel = endpoint.expect("an address").tcp_nodelay(true).connect().await;
        let channel = channel.expect("it answers");
        Wire {
            token: TokenServiceClient::new(channel.clone()),
            admin: AdminServiceClient::new(channel),
            world: self,
        }
    }

    /// Stops the server, which must have nothing left to do.
    ///
    /// # Panics
    /// If it doesn't stop in time.
    pub async fn stop(self) {
        assert!(self.running.stop().await, "it stops in time");
    }

    /// What answers, for those who ask in this process.
    #[must_use]
    pub fn api(&self) -> &Api {
        self.running.api()
    }

    fn set_time(&self, micros: i64) {
        self.clock.store(micros, Ordering::SeqCst);
    }
}

/// The service on its database, without the wire.
#[derive(Debug)]
pub struct Service {
    token: TokenApi,
    admin: AdminApi,
    world: World,
}

/// A server, across the wire.
#[derive(Debug)]
pub struct Wire {
    token: TokenServiceClient<Channel>,
    admin: AdminServiceClient<Channel>,
    world: World,
}

impl Wire {
    /// What asks it as an operator, for streams.
    #[must_use]
    pub fn operator(&self) -> &AdminServiceClient<Channel> {
        &self.admin
    }

    /// What asks it, for streams.
    #[must_use]
    pub fn client(&self) -> &TokenServiceClient<Channel> {
        &self.token
    }

    /// What asks it, as operators do.
    #[must_use]
    pub fn admin(&self) -> AdminServiceClient<Channel> {
        self.admin.clone()
    }
}

macro_rules! answers {
    ($target:ident: $($of:ident.$method:ident for $call:ident,)*) => {
        impl $target {
            /// The server behind it, while it is asked.
            #[must_use]
            pub fn world(&self) -> &World {
                &self.world
            }

            /// The server behind it.
            #[must_use]
            pub fn into_world(self) -> World {
                self.world
            }
        }

        impl Target for $target {
            async fn call(&mut self, call: Call) -> Result<Reply, Status> {
                match call {
                    $(Call::$call(request) => {
                        let mut request = Request::new(request);
                        // Across the wire it stays here.
                        request.extensions_mut().insert(Arc::new(Caller::anonymous()));
                        let reply = self.$of.$method(request).await?;
                        Ok(Reply::$call(reply.into_inner()))
                    })*
                }
            }

            fn set_time(&mut self, micros: i64) {
                self.world.set_time(micros);
            }
        }
    };
    ($($target:ident)*) => {
        $(answers! { $target:
            token.credit for Credit,
            token.debit for Debit,
            token.reverse for Reverse,
            token.transfer for Transfer,
            token.create_hold for CreateHold,
            token.capture_hold for CaptureHold,
            token.release_hold for ReleaseHold,
            token.set_clawback for SetClawback,
            token.set_entitlement for SetEntitlement,
            token.authorize for Authorize,
            token.batch for Batch,
            token.quote for Quote,
            token.get_balance for GetBalance,
            token.get_transaction for GetTransaction,
            token.list_transactions for ListTransactions,
            token.get_usage for GetUsage,
            token.list_grants for ListGrants,
            token.list_holds for ListHolds,
            admin.freeze_account for FreezeAccount,
            admin.unfreeze_account for UnfreezeAccount,
            admin.close_account for CloseAccount,
            admin.update_account for UpdateAccount,
            admin.get_account for GetAccount,
        })*
    };
}

answers! { Service Wire }
