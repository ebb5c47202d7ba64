//! A world to buy in: a Stripe, a ledger, and gateways on one database.

use super::{
    backup,
    judge::Judge,
    ledger::Ledger,
    plan::{Kept, Places, Plan, Ways},
    user::{Purchase, User},
    wait::until,
};
use proto::{
    payments::v1::{ListReconciliationsRequest, operator_service_client::OperatorServiceClient},
    v1::{
        DebitRequest, GetBalanceRequest, ListTransactionsRequest, TransactionType,
        token_service_client::TokenServiceClient,
    },
};
use serde_json::{Value, json};
use std::thread;
use tempfile::TempDir;
use tests::{
    gateway::{Gateway, Killer, Settings, free_port, tail},
    http::{Answer, Http},
    interceptor::Interceptor,
    postgres,
    stripe_sim::{self, StripeSim, text},
};
use tokio::sync::Mutex;
use tonic::{Code, transport::Channel};

/// Who may open sessions for users.
pub const SERVICE_SECRET: &str = "a-service-secret-of-thirty-two-characters";

/// Everything that runs. In this order it ends.
#[derive(Debug)]
pub struct World {
    /// One that was killed is started again in its place.
    gateways: Mutex<Vec<Gateway>>,
    pub settings: Vec<Settings>,
    pub interceptor: Interceptor,
    pub stripe: StripeSim,
    /// The webhook endpoint at Stripe, and its secret.
    pub endpoint: String,
    pub secret: String,
    pub http: Http,
    ledger: Mutex<Ledger>,
    client: TokenServiceClient<Channel>,
    _judge: Option<Judge>,
    _postgres: Option<postgres::Database>,
    folder: TempDir,
}

impl World {
    /// One gateway that sells images.
    pub async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    /// As planned.
    pub async fn with(plan: Plan) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let catalog = plan.catalog.setting(folder.path());
        let stripe = match plan.stripe {
            Some(stripe) => stripe,
            None => StripeSim::start().await,
        };
        let ledger = Ledger::with(&catalog).await;
        let client = ledger.client().await;

        let judge = Judge::start(stripe.url()).await;
        let mut api = judge.as_ref().map_or_else(|| stripe.url().to_owned(), |it| it.url.clone());
        let mut tokens = ledger.address.clone();
        let mut interceptor = Interceptor::default();
        if let Ways::Intercepted = plan.ways {
            api = interceptor.http(&api).await;
            tokens = interceptor.grpc(&tokens).await;
        }
        let in_postgres = match plan.kept {
            Kept::InAFile => None,
            Kept::InPostgres => Some(postgres::database().await),
        };
        let database = in_postgres.as_ref().map_or_else(
            || format!("sqlite:{}", folder.path().join("gateway.db").display()),
            |database| database.url().to_owned(),
        );

        let ports: Vec<u16> = (0..plan.replicas).map(|_| free_port()).collect();
        let hook = format!("http://127.0.0.1:{}/webhooks/stripe", ports[0]);
        let asked = [("url", hook.as_str()), ("enabled_events[]", "*")];
        let made = stripe.post("/webhook_endpoints", &asked).await;
        let secret = text(&made, "secret").to_owned();
        let places = Places { database, catalog, tokens, api, secret };
        let environment = places.environment(&plan.settings);
        let settings: Vec<Settings> = ports
            .iter()
            .map(|port| Settings {
                port: *port,
                log: folder.path().join(format!("gateway-{port}.log")),
                environment: environment.clone(),
            })
            .collect();
        let mut gateways = Vec::new();
        for settings in &settings {
            gateways.push(Gateway::start(settings).await);
        }
        let world = Self {
            gateways: Mutex::new(gateways),
            settings,
            interceptor,
            stripe,
            endpoint: text(&made, "id").to_owned(),
            secret: places.secret,
            http: Http::default(),
            ledger: Mutex::new(ledger),
            client,
            _judge: judge,
            _postgres: in_postgres,
            folder,
        };
        world.has_reconciled().await;
        world
    }

    /// Waits until the first gateway has looked at Stripe for what it missed, as it does when it
    /// starts: it would find what happens here before anybody tells it.
    async fn has_reconciled(&self) {
        let mut operators = self.operators().await;
        until("the reconciliation at the start", async || {
            let asked = ListReconciliationsRequest::default();
            let page = operators.list_reconciliations(asked).await.expect("a page").into_inner();
            if page.reconciliations.is_empty() { Err("none".to_owned()) } else { Ok(()) }
        })
        .await;
    }

    /// Where something is at the first gateway.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.settings[0].url())
    }

    /// Ends a gateway between any two instructions, if nobody has, and starts it anew.
    pub async fn restart(&self, which: usize) {
        let mut gateways = self.gateways.lock().await;
        gateways[which].kill().await;
        gateways[which] = Gateway::start(&self.settings[which]).await;
    }

    /// What ends a gateway from elsewhere, until it is started anew.
    pub async fn killer(&self, which: usize) -> Killer {
        self.gateways.lock().await[which].killer()
    }

    /// Waits until somebody has ended a gateway.
    pub async fn gone(&self, which: usize) {
        self.gateways.lock().await[which].gone().await;
    }

    /// Who answers operators at the first gateway.
    pub async fn operators(&self) -> OperatorServiceClient<Channel> {
        let address = format!("http://{}", self.gateways.lock().await[0].operators);
        OperatorServiceClient::connect(address).await.expect("operators are answered")
    }

    /// The ledger goes away, between any two instructions.
    pub async fn stop_ledger(&self) {
        self.ledger.lock().await.stop().await;
    }

    /// The ledger comes back.
    pub async fn start_ledger(&self) {
        self.ledger.lock().await.start().await;
    }

    /// All that the ledger knew is gone, while it is away.
    pub async fn lose_ledger(&self) {
        self.ledger.lock().await.lose();
    }

    /// A copy of the gateway's database, taken while it is away.
    pub async fn copy_database(&self) -> TempDir {
        let copy = tempfile::tempdir().expect("a folder");
        self.gateways.lock().await[0].kill().await;
        backup::copy(self.folder.path(), copy.path());
        self.restart(0).await;
        copy
    }

    /// The gateway's database is as it was when it was copied.
    pub async fn put_database_back(&self, copy: &TempDir) {
        self.gateways.lock().await[0].kill().await;
        backup::copy(copy.path(), self.folder.path());
        self.restart(0).await;
    }

    /// A user with a bearer token.
    pub async fn user(&self, account: &str) -> User {
        self.try_user(account).await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same, of a gateway that may be gone.
    pub async fn try_user(&self, account: &str) -> Result<User, String> {
        let email = format!("{account}@example.com");
        let asked = json!({"account_id": account, "email": email, "use": "bearer"});
        let opened = self.http.post(&self.at("/v1/sessions")).bearer(SERVICE_SECRET);
        let opened = opened.json(&asked).try_send().await?;
        if opened.status != 201 {
            return Err(format!("{} {}", opened.status, opened.text()));
        }
        let token = text(&opened.json(), "token").to_owned();
        let (http, url) = (self.http.clone(), self.settings[0].url());
        Ok(User { account: account.to_owned(), token, http, url })
    }

    /// Delivers an event to the first gateway as Stripe would, now.
    pub async fn deliver(&self, event: &Value) {
        self.deliver_bytes(event.to_string().as_bytes()).await.expect(200);
    }

    /// Delivers a body that Stripe has signed.
    pub async fn deliver_bytes(&self, body: &[u8]) -> Answer {
        let signature = stripe_sim::signature(&self.secret, body);
        self.deliver_signed(body, &signature).await
    }

    /// Delivers a body with this signature.
    pub async fn deliver_signed(&self, body: &[u8], signature: &str) -> Answer {
        let request = self.http.post(&self.at("/webhooks/stripe"));
        let request = request.header("content-type", "application/json; charset=utf-8");
        request.header("stripe-signature", signature).body(body.to_vec()).send().await
    }

    /// The tokens of an account, as the ledger has them.
    pub async fn posted(&self, account: &str) -> i64 {
        let asked = GetBalanceRequest { account_id: account.to_owned(), ..Default::default() };
        match self.client.clone().get_balance(asked).await {
            Ok(answer) => answer.into_inner().balance.expect("a balance").posted,
            Err(status) if status.code() == Code::NotFound => 0,
            Err(status) => panic!("{account}: {status}"),
        }
    }

    /// An account's tokens are used.
    pub async fn spend(&self, account: &str, amount: i64) {
        let asked = DebitRequest {
            account_id: account.to_owned(),
            idempotency_key: format!("spent-{}", fastrand::u64(..)),
            amount,
            ..Default::default()
        };
        self.client.clone().debit(asked).await.expect("there are enough");
    }

    /// The credits of an account, as the ledger has them: their keys and amounts, the newest first.
    pub async fn credits(&self, account: &str) -> Vec<(String, i64)> {
        let asked = ListTransactionsRequest {
            account_id: account.to_owned(),
            page_size: 1_000,
            types: vec![TransactionType::Credit.into()],
            ..Default::default()
        };
        let found = match self.client.clone().list_transactions(asked).await {
            Ok(answer) => answer.into_inner().transactions,
            Err(status) if status.code() == Code::NotFound => Vec::new(),
            Err(status) => panic!("{account}: {status}"),
        };
        found.into_iter().map(|it| (it.idempotency_key, it.amount)).collect()
    }

    /// Waits until a purchase is credited: in the ledger once, with its key, and nothing else.
    pub async fn credits_once(&self, user: &User, purchase: &Purchase, tokens: i64) -> Value {
        let seen = user.sees(&purchase.id, "credited").await;
        let credits = self.credits(&user.account).await;
        assert_eq!(credits, [(format!("purchase/{}", purchase.id), tokens)], "{seen}");
        seen
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            for settings in &self.settings {
                eprintln!("{} said last:\n{}", settings.url(), tail(&settings.log));
            }
        }
    }
}
