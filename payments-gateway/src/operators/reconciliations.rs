//! Reconciliations: asked for, and what they found.

use super::{Operators, caller::Operator, fields::Fields, page::Page, status, wire};
use crate::store::StoreError;
use proto::payments::v1::{
    ErrorReason, ListReconciliationsRequest, ListReconciliationsResponse, ReconcileRequest,
    ReconcileResponse,
};
use std::sync::Arc;
use tonic::Status;

/// Reports of one page: each may list a thousand differences.
const REPORTS_MAX: usize = 100;

impl Operators {
    pub(super) async fn reconcile_now(
        &self,
        who: &Operator,
        ReconcileRequest { after_restore }: ReconcileRequest,
    ) -> Result<ReconcileResponse, Status> {
        let busy = |message: &str| status::unavailable(ErrorReason::Overloaded, message);
        let Ok(_turn) = Arc::clone(&self.reconciling).try_lock_owned() else {
            return Err(busy("a reconciliation is under way; ListReconciliations will have it"));
        };
        tracing::info!(operator = who.name(), after_restore, "an operator has it reconciled");
        // It opens no transaction: it may end anywhere, and the next one goes over the same again.
        let report = self.reconciler.reconcile(after_restore);
        let report = self.stop.run_until_cancelled(report).await;
        let report = report.ok_or_else(|| busy("the gateway is stopping; ask again"))?;
        let report = report.and_then(wire::reconciliation);
        let reconciliation = Some(report.map_err(|error| status::store(&error))?);
        Ok(ReconcileResponse { reconciliation })
    }

    pub(super) async fn reconciliations(
        &self,
        asked: ListReconciliationsRequest,
    ) -> Result<ListReconciliationsResponse, Status> {
        let filters = ListReconciliationsRequest::default();
        let wanted = (asked.page_size, asked.page_token.as_str());
        let page = Fields::read(|fields| Page::read(fields, wanted, &filters))?;
        let page = page.at_most(REPORTS_MAX);
        let found = self.store.reconciliations(page.after(), page.limit()).await;
        let rows = found.and_then(|found| {
            let row = |it: crate::store::reconciliations::Reconciliation| {
                Ok(((it.started_at, it.id.clone()), wire::reconciliation(it)?))
            };
            found.into_iter().map(row).collect::<Result<Vec<_>, StoreError>>()
        });
        let (reconciliations, next_page_token) =
            page.cut(rows.map_err(|error| status::store(&error))?);
        Ok(ListReconciliationsResponse { reconciliations, next_page_token })
    }
}
