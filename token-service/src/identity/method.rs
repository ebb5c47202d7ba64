//! What each method asks of its caller: one table. A method without a row is nobody's, and a test
//! holds the rows against the contract.

use super::{Caller, Scope};
use Access::{Anyone, OneOf, Unbound};

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever can connect: probes have no credentials.
    Anyone,
    /// Who has at least one of these; `tokens:admin` may everything.
    OneOf(&'static [Scope]),
    /// Operators who aren't bound to some accounts: it is about all of them.
    Unbound,
}

impl Access {
    /// Whether this caller may.
    #[must_use]
    pub fn admits(self, caller: &Caller) -> bool {
        match self {
            Anyone => true,
            OneOf(scopes) => scopes.iter().any(|scope| caller.may(*scope)),
            Unbound => caller.may(Scope::Admin) && caller.may_name_all(),
        }
    }
}

const READ: Access = OneOf(&[Scope::Read]);
const DEBIT: Access = OneOf(&[Scope::Debit]);
const CREDIT: Access = OneOf(&[Scope::Credit]);
const TRANSFER: Access = OneOf(&[Scope::Transfer]);
/// Operators alone.
pub const ADMIN: Access = OneOf(&[Scope::Admin]);

/// Each member is then judged by its own row.
const WRITE: Access = OneOf(&[Scope::Debit, Scope::Credit, Scope::Transfer]);

/// The service whose methods most callers call.
pub const TOKEN_SERVICE: &str = "token.v1.TokenService";
const ADMIN_SERVICE: &str = "token.v1.AdminService";

/// Service, method, who may.
pub const METHODS: &[(&str, &str, Access)] = &[
    (TOKEN_SERVICE, "Credit", CREDIT),
    (TOKEN_SERVICE, "Debit", DEBIT),
    // Of spending; of anything else tokens:admin: the ledger tells them apart. So does a Debit for a
    // withdrawal.
    (TOKEN_SERVICE, "Reverse", DEBIT),
    (TOKEN_SERVICE, "Transfer", TRANSFER),
    (TOKEN_SERVICE, "CreateHold", DEBIT),
    (TOKEN_SERVICE, "CaptureHold", DEBIT),
    (TOKEN_SERVICE, "ReleaseHold", DEBIT),
    (TOKEN_SERVICE, "SetClawback", CREDIT),
    (TOKEN_SERVICE, "SetEntitlement", CREDIT),
    (TOKEN_SERVICE, "Authorize", DEBIT),
    (TOKEN_SERVICE, "Batch", WRITE),
    (TOKEN_SERVICE, "Quote", READ),
    (TOKEN_SERVICE, "GetCatalog", READ),
    (TOKEN_SERVICE, "GetBalance", READ),
    (TOKEN_SERVICE, "BatchGetBalances", READ),
    (TOKEN_SERVICE, "WatchBalance", READ),
    (TOKEN_SERVICE, "GetTransaction", READ),
    // Across accounts: tokens:admin.
    (TOKEN_SERVICE, "ListTransactions", READ),
    (TOKEN_SERVICE, "GetStatement", READ),
    (TOKEN_SERVICE, "ListGrants", READ),
    (TOKEN_SERVICE, "ListHolds", READ),
    (TOKEN_SERVICE, "GetUsage", READ),
    // Of all accounts too: whoever isn't bound follows the whole ledger.
    (TOKEN_SERVICE, "WatchEvents", READ),
    (ADMIN_SERVICE, "GetAccount", ADMIN),
    (ADMIN_SERVICE, "ListAccounts", ADMIN),
    (ADMIN_SERVICE, "UpdateAccount", ADMIN),
    (ADMIN_SERVICE, "FreezeAccount", ADMIN),
    (ADMIN_SERVICE, "UnfreezeAccount", ADMIN),
    (ADMIN_SERVICE, "CloseAccount", ADMIN),
    (ADMIN_SERVICE, "BulkCredit", ADMIN),
    (ADMIN_SERVICE, "TrialBalance", Unbound),
    (ADMIN_SERVICE, "VerifyLedger", Unbound),
    (ADMIN_SERVICE, "GetCheckpoint", Unbound),
    (ADMIN_SERVICE, "GetStats", Unbound),
    ("grpc.reflection.v1.ServerReflection", "ServerReflectionInfo", ADMIN),
    ("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", ADMIN),
    ("grpc.health.v1.Health", "Check", Anyone),
    ("grpc.health.v1.Health", "Watch", Anyone),
];

/// Who may call this method of this service; `None`: there is no such method.
#[must_use]
pub fn access(service: &str, method: &str) -> Option<Access> {
    let row = METHODS.iter().find(|row| row.1 == method && row.0 == service);
    row.map(|(.., access)| *access)
}

/// The same by a call's path, `/service/method`.
#[must_use]
pub fn access_of_path(path: &str) -> Option<Access> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    access(service, method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    #[test]
    fn every_method_has_one_row_and_every_row_a_method() {
        let sets = [
            proto::v1::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let sets = sets.map(|set| FileDescriptorSet::decode(set).expect("the build wrote it"));
        let files = sets.iter().flat_map(|set| &set.file);
        let mut served: Vec<(String, String)> = files
            .flat_map(|file| file.service.iter().map(|service| (file.package(), service)))
            .flat_map(|(package, service)| {
                let service_name = format!("{package}.{}", service.name());
                let method = move |it: &prost_types::MethodDescriptorProto| {
                    (service_name.clone(), it.name().to_owned())
                };
                service.method.iter().map(method).collect::<Vec<_>>()
            })
            .collect();
        let row = |(service, method, _): &(&str, &str, _)| ((*service).into(), (*method).into());
        let mut rows: Vec<(String, String)> = METHODS.iter().map(row).collect();
        served.sort();
        rows.sort();
        assert_eq!(rows, served);
    }
}
