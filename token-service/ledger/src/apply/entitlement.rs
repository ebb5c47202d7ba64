//! Entitlements: set by source and version; an older version does nothing.

use super::{
    Book, Receipt,
    post::{Draft, Leg},
};
use crate::{
    command::Command,
    entitlement::{ENTITLEMENTS_MAX, Entitlement},
    id::System,
    rejection::{Limit, Rejection},
    state::Stop,
    transaction::{Change, TransactionType},
};

impl Book<'_> {
    pub(super) fn set_entitlement(
        &mut self,
        command: &Command,
        entitlement: &Entitlement,
    ) -> Result<Receipt, Stop> {
        let at = self.now_for(&[&command.account])?;
        if let Some(account) = self.state.account(&command.account)? {
            let mut entitlements = account.body.entitlements.iter();
            match entitlements.find(|known| known.source == entitlement.source) {
                Some(known) if known.version > entitlement.version => {
                    return self.unchanged(&command.account);
                }
                Some(known) if known.version == entitlement.version => {
                    if known.grants_the_same_as(entitlement) {
                        return self.unchanged(&command.account);
                    }
                    let revision = entitlement.version;
                    return Err(Rejection::RevisionReused { revision }.into());
                }
                Some(_) => {}
                None => {
                    let active = account.body.entitlements.iter().filter(|it| it.is_active(at));
                    if i64::try_from(active.count()).is_ok_and(|it| it >= ENTITLEMENTS_MAX) {
                        let (limit, maximum) = (Limit::Entitlements, ENTITLEMENTS_MAX);
                        return Err(Rejection::LimitExceeded { limit, maximum, retry: None }.into());
                    }
                }
            }
        }

        let mut draft = Draft::of(command, TransactionType::Entitlement, at);
        let changes = vec![Change::Entitle(Box::new(entitlement.clone()))];
        draft.legs.push(Leg::new(&command.account, System::Issuance, changes));
        Ok(self.post(draft))
    }
}
