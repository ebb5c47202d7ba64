//! The gRPC edge for operators: `payments.v1.OperatorService`.
//!
//! ```text
//!  serve ─▶ door (who asks, how long it may take, one line in the log) ─▶ a method here ─▶ store, inbox, Stripe
//! ```
//!
//! A method's work is done in a task that isn't cancelled when its caller goes away or its time is over:
//! transactions are opened in there, see [`crate::store`]. Nothing here credits: what an operator decides is
//! written down, and a note in the inbox has the worker do it.

mod alerts;
mod caller;
mod customers;
mod door;
mod fields;
mod inbox;
mod listener;
mod page;
mod purchases;
mod reconciliations;
mod serve;
mod status;
mod wire;
mod words;

pub use caller::{Operator, SCOPE};
pub use serve::{ServeError, serve};

use crate::{intake::Intake, reconciler::Reconciler, store::Store, stripe};
use proto::payments::v1::{
    GetCustomerRequest, GetCustomerResponse, GetInboxEventRequest, GetInboxEventResponse,
    GetPurchaseRequest, GetPurchaseResponse, ListAlertsRequest, ListAlertsResponse,
    ListInboxEventsRequest, ListInboxEventsResponse, ListPurchasesRequest, ListPurchasesResponse,
    ListReconciliationsRequest, ListReconciliationsResponse, ReconcileRequest, ReconcileResponse,
    RefreshPurchaseRequest, RefreshPurchaseResponse, ReplayInboxEventsRequest,
    ReplayInboxEventsResponse, ResolveAlertRequest, ResolveAlertResponse, ResolvePurchaseRequest,
    ResolvePurchaseResponse, operator_service_server::OperatorService,
};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

/// What operators ask. Clones share it.
#[derive(Clone)]
pub struct Operators {
    store: Store,
    stripe: stripe::Client,
    intake: Intake,
    reconciler: Reconciler,
    /// Whoever reconciles here has it.
    reconciling: Arc<Mutex<()>>,
    /// What is being worked on, whether somebody waits for it or not.
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What a method gives back.
type Reply<T> = Result<Response<T>, Status>;

impl Operators {
    /// Answers from what the reconciler has, until it is told to stop.
    #[must_use]
    pub fn new(reconciler: Reconciler, stop: CancellationToken) -> Self {
        Self {
            store: reconciler.store.clone(),
            stripe: reconciler.stripe.clone(),
            intake: reconciler.intake.clone(),
            reconciler,
            reconciling: Arc::default(),
            tasks: TaskTracker::new(),
            stop,
        }
    }

    /// Does a method's work, to its end.
    async fn work<R, A, F>(
        &self,
        mut request: Request<R>,
        work: impl FnOnce(Self, Arc<Operator>, R) -> F,
    ) -> Reply<A>
    where
        A: Send + 'static,
        F: Future<Output = Result<A, Status>> + Send + 'static,
    {
        let operator = request.extensions_mut().remove::<Arc<Operator>>();
        let operator = operator.ok_or_else(status::past_the_door)?;
        let work = work(self.clone(), operator, request.into_inner());
        match self.tasks.spawn(work.in_current_span()).await {
            Ok(answer) => answer.map(Response::new),
            // It panicked, which the log has.
            Err(_) => Err(status::internal()),
        }
    }
}

#[tonic::async_trait]
impl OperatorService for Operators {
    async fn list_purchases(
        &self,
        request: Request<ListPurchasesRequest>,
    ) -> Reply<ListPurchasesResponse> {
        self.work(request, |this, _, asked| async move { this.purchases(asked).await }).await
    }

    async fn get_purchase(
        &self,
        request: Request<GetPurchaseRequest>,
    ) -> Reply<GetPurchaseResponse> {
        self.work(request, |this, _, asked| async move { this.purchase(asked).await }).await
    }

    async fn resolve_purchase(
        &self,
        request: Request<ResolvePurchaseRequest>,
    ) -> Reply<ResolvePurchaseResponse> {
        self.work(request, |this, who, asked| async move { this.resolve(&who, asked).await }).await
    }

    async fn refresh_purchase(
        &self,
        request: Request<RefreshPurchaseRequest>,
    ) -> Reply<RefreshPurchaseResponse> {
        self.work(request, |this, who, asked| async move { this.refresh(&who, asked).await }).await
    }

    async fn list_inbox_events(
        &self,
        request: Request<ListInboxEventsRequest>,
    ) -> Reply<ListInboxEventsResponse> {
        self.work(request, |this, _, asked| async move { this.events(asked).await }).await
    }

    async fn get_inbox_event(
        &self,
        request: Request<GetInboxEventRequest>,
    ) -> Reply<GetInboxEventResponse> {
        self.work(request, |this, _, asked| async move { this.event(asked).await }).await
    }

    async fn replay_inbox_events(
        &self,
        request: Request<ReplayInboxEventsRequest>,
    ) -> Reply<ReplayInboxEventsResponse> {
        self.work(request, |this, who, asked| async move { this.replay(&who, asked).await }).await
    }

    async fn list_alerts(&self, request: Request<ListAlertsRequest>) -> Reply<ListAlertsResponse> {
        self.work(request, |this, _, asked| async move { this.alerts(asked).await }).await
    }

    async fn resolve_alert(
        &self,
        request: Request<ResolveAlertRequest>,
    ) -> Reply<ResolveAlertResponse> {
        self.work(request, |this, who, asked| async move { this.see_to(&who, asked).await }).await
    }

    async fn get_customer(
        &self,
        request: Request<GetCustomerRequest>,
    ) -> Reply<GetCustomerResponse> {
        self.work(request, |this, _, asked| async move { this.customer(asked).await }).await
    }

    async fn reconcile(&self, request: Request<ReconcileRequest>) -> Reply<ReconcileResponse> {
        self.work(request, |this, who, asked| async move { this.reconcile_now(&who, asked).await })
            .await
    }

    async fn list_reconciliations(
        &self,
        request: Request<ListReconciliationsRequest>,
    ) -> Reply<ListReconciliationsResponse> {
        self.work(request, |this, _, asked| async move { this.reconciliations(asked).await }).await
    }
}
