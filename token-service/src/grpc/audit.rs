//! VerifyLedger and GetCheckpoint.

use super::{
    Api, Asked,
    convert::{query, wire},
    status,
};
use crate::{
    audit::{AuditError, Keys, Report, Scope, Verification},
    checkpoint::Checkpoint,
    committer::Failure,
    store::{StoreError, snapshot::Snapshot},
};
use futures::{Stream, StreamExt as _, stream};
use ledger::Finding;
use proto::{
    reason::{Error, Violation},
    v1,
};
use std::{pin::Pin, sync::Arc};
use tonic::Status;

/// What VerifyLedger streams.
pub(super) type Reports =
    Pin<Box<dyn Stream<Item = Result<v1::VerifyLedgerResponse, Status>> + Send>>;

impl Api {
    pub(super) async fn verify_ledger(
        &self,
        (caller, request): Asked<v1::VerifyLedgerRequest>,
    ) -> Result<Reports, Error> {
        let scope = Scope {
            account: match request.account_id.as_str() {
                "" => None,
                id => Some(query::account(id, self.terms(&caller))?),
            },
            checkpoint: checkpoint(&request)?,
            public_key: None,
        };
        let keys: Keys = self.keys.iter().map(|key| (key.id().to_owned(), key.clone())).collect();
        let policy = Arc::clone(&self.policy);
        // Held to the end of the stream.
        let turn = self.turn().await;
        let begun = Verification::start(&self.store, keys, policy, scope).await;
        let verification = begun.map_err(|error| status::unread(&error))?;
        let reports = stream::try_unfold((verification, turn), |(mut verification, turn)| async {
            let report = verification.next().await.map_err(|error| Status::from(failed(&error)))?;
            Ok(report.map(|report| (told(report), (verification, turn))))
        });
        Ok(reports.boxed())
    }

    pub(super) async fn get_checkpoint(&self) -> Result<v1::GetCheckpointResponse, Error> {
        let make = async || -> Result<(String, ledger::Time), StoreError> {
            let signing = self.keys.first();
            let key = signing.ok_or_else(|| StoreError::broken("there is no chain key"))?;
            let now = self.clock.now();
            let mut snapshot = Snapshot::of(&self.store).await?;
            Ok((Checkpoint::make(&mut snapshot, key, now).await?, now))
        };
        let _turn = self.turn().await;
        let (checkpoint, now) = make().await.map_err(|error| status::unread(&error))?;
        let create_time = Some(wire::time(now));
        Ok(v1::GetCheckpointResponse { checkpoint: checkpoint.into_bytes(), create_time })
    }
}

fn checkpoint(request: &v1::VerifyLedgerRequest) -> Result<Option<Checkpoint>, Error> {
    let invalid = |description: String| {
        Error::invalid(vec![Violation { field: "checkpoint".to_owned(), description }])
    };
    if request.checkpoint.is_empty() {
        return Ok(None);
    }
    if !request.account_id.is_empty() {
        let words = "is about the whole ledger: leave account_id out";
        return Err(invalid(words.to_owned()));
    }
    Checkpoint::read(&request.checkpoint).map(Some).map_err(invalid)
}

fn told(report: Report) -> v1::VerifyLedgerResponse {
    let finding = |finding: Finding| v1::LedgerFinding {
        account_id: finding.account.map_or_else(String::new, |account| account.to_string()),
        sequence: finding.sequence.unwrap_or_default(),
        finding: finding.code.as_str().to_owned(),
        message: finding.message,
    };
    v1::VerifyLedgerResponse {
        accounts: report.accounts,
        entries: report.entries,
        findings: report.findings.into_iter().map(finding).collect(),
        done: report.done,
    }
}

fn failed(error: &AuditError) -> Error {
    match error {
        AuditError::Store(error) => status::unread(error),
        AuditError::NobodyListens => {
            tracing::warn!("a verification was given up: {error}");
            status::too_slow()
        }
        AuditError::Bug(_) => {
            tracing::error!("a verification failed: {error}");
            status::failed(&Failure::Internal)
        }
    }
}
