//! Which id the service gave to what the workload calls by a label.

use super::{ids, unexplained};
use crate::model::{Expected, Refused};
use crate::target::{Call, Reply};
use proto::v1::ErrorReason;
use std::collections::BTreeMap;
use tonic::Status;
use tonic_types::StatusExt as _;

/// Names nothing on either side.
const NOWHERE: (&str, &str) = ("nobody/nowhere", "01900000-0000-7000-8000-000000000000");

/// Labels and ids of all transactions so far.
#[derive(Clone, Debug)]
pub(super) struct Names {
    ids: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

impl Default for Names {
    fn default() -> Self {
        let (label, id) = (NOWHERE.0.to_owned(), NOWHERE.1.to_owned());
        Self {
            ids: BTreeMap::from([(label.clone(), id.clone())]),
            labels: BTreeMap::from([(id, label)]),
        }
    }
}

impl Names {
    /// Remembers the ids of a reply's transactions.
    pub fn learn(&mut self, reply: &Reply) {
        for transaction in ids::transactions(&mut reply.clone()) {
            let label = format!("{}/{}", transaction.account_id, transaction.idempotency_key);
            self.ids.insert(label.clone(), transaction.transaction_id.clone());
            self.labels.insert(transaction.transaction_id.clone(), label);
        }
    }

    pub fn knows(&self, label: &str) -> bool {
        self.ids.contains_key(label)
    }

    /// The call with labels that name something, or nowhere.
    pub fn known(&self, call: &Call) -> Call {
        let mut call = call.clone();
        ids::in_call(&mut call, &mut |label| {
            if !self.ids.contains_key(label) {
                NOWHERE.0.clone_into(label);
            }
        });
        call
    }

    /// The call as the service understands it.
    pub fn to_ids(&self, call: &Call) -> Call {
        let mut call = call.clone();
        ids::in_call(&mut call, &mut |label| *label = self.ids[label].clone());
        call
    }

    /// The answer as the model would give it.
    pub fn answer(&self, answer: Result<Reply, Status>) -> Expected {
        match answer {
            Ok(reply) => Ok(self.to_labels(reply)),
            Err(status) => Err(self.refused(&status)),
        }
    }

    fn to_labels(&self, mut reply: Reply) -> Reply {
        ids::in_reply(&mut reply, &mut |id| {
            if let Some(label) = self.labels.get(id) {
                id.clone_from(label);
            }
        });
        reply
    }

    fn refused(&self, status: &Status) -> Refused {
        let Some(info) = status.get_details_error_info() else { return unexplained(status) };
        let name = format!("ERROR_REASON_{}", info.reason);
        let Some(reason) = ErrorReason::from_str_name(&name) else { return unexplained(status) };
        let metadata = info.metadata.into_iter().map(|(name, value)| {
            let label = self.labels.get(&value).cloned();
            (name, label.unwrap_or(value))
        });
        let refused = Refused { reason, metadata: metadata.collect() };
        refused.with("code", format_args!("{:?}", status.code()))
    }
}
