//! Status and settings: README rule 25.

use super::book::Words;
use super::{Expected, Model, Refused, wire};
use crate::target::Reply;
use proto::v1::{self, AccountStatus, ErrorReason, TransactionType as Type};

impl Model {
    pub(crate) fn freeze(&mut self, r: &v1::FreezeAccountRequest) -> Expected {
        let at = self.set_unless_closed(&r.account_id, AccountStatus::Frozen)?;
        let account = Some(self.account(at));
        Ok(Reply::FreezeAccount(v1::FreezeAccountResponse { account }))
    }

    pub(crate) fn unfreeze(&mut self, r: &v1::UnfreezeAccountRequest) -> Expected {
        let at = self.set_unless_closed(&r.account_id, AccountStatus::Active)?;
        let account = Some(self.account(at));
        Ok(Reply::UnfreezeAccount(v1::UnfreezeAccountResponse { account }))
    }

    pub(crate) fn close(&mut self, r: &v1::CloseAccountRequest) -> Expected {
        let at = self.need(&r.account_id)?;
        let account = &self.accounts[at];
        let lots: i128 = account.lots.iter().map(|lot| lot.remaining).sum();
        let empty = lots == 0 && account.debt == 0 && account.open_holds().next().is_none();
        if account.status != AccountStatus::Closed {
            if !empty {
                return Err(Refused::new(ErrorReason::AccountNotEmpty)
                    .with("posted", account.posted())
                    .with("held", account.held())
                    .with("debt", account.debt)
                    .with("scheduled", account.scheduled()));
            }
            self.change(at, |account| account.status = AccountStatus::Closed);
        }
        let account = Some(self.account(at));
        Ok(Reply::CloseAccount(v1::CloseAccountResponse { account }))
    }

    pub(crate) fn update(&mut self, r: &v1::UpdateAccountRequest) -> Expected {
        let version = self.find(&r.account_id).map_or(0, |at| self.accounts[at].version);
        if r.expected_version != 0 && r.expected_version != version {
            return Err(Refused::new(ErrorReason::VersionMismatch)
                .with("expected_version", r.expected_version)
                .with("version", version));
        }
        let at = self.open(&r.account_id);
        self.change(at, |account| {
            if let Some(threshold) = r.low_balance_threshold {
                account.threshold = Some(threshold).filter(|threshold| *threshold >= 0);
            }
            if let Some(caps) = &r.spend_caps {
                let cap = |cap: &v1::SpendCap| (cap.period(), i128::from(cap.limit));
                account.caps = caps.caps.iter().map(cap).collect();
            }
        });
        let account = Some(self.account(at));
        Ok(Reply::UpdateAccount(v1::UpdateAccountResponse { account }))
    }

    fn set_unless_closed(
        &mut self,
        account_id: &str,
        status: AccountStatus,
    ) -> Result<usize, Refused> {
        let at = self.need(account_id)?;
        match self.accounts[at].status {
            AccountStatus::Closed => {
                Err(Refused::new(ErrorReason::AccountClosed).with("account_id", account_id))
            }
            already if already == status => Ok(at),
            _ => {
                self.change(at, |account| account.status = status);
                Ok(at)
            }
        }
    }

    fn change(&mut self, at: usize, change: impl FnOnce(&mut super::Account)) {
        let key = format!("sys/change/{}", self.accounts[at].sequence);
        let draft = self.begin(Type::AccountChange, at, &key, Words::default());
        change(&mut self.accounts[at]);
        self.accounts[at].version += 1;
        self.commit(draft);
    }

    /// The account with its settings.
    pub(crate) fn account(&self, at: usize) -> v1::Account {
        let account = &self.accounts[at];
        let cap = |(period, limit): &(v1::CapPeriod, i128)| v1::SpendCap {
            period: (*period).into(),
            limit: wire::tokens(*limit),
            spent: wire::tokens(self.spent(at, *period)),
        };
        v1::Account {
            account_id: account.id.clone(),
            status: account.status.into(),
            balance: Some(wire::balance(account)),
            debt: wire::tokens(account.debt),
            low_balance_threshold: account.threshold,
            spend_caps: account.caps.iter().map(cap).collect(),
            entitlements: account.entitlements.iter().map(entitlement).collect(),
            version: account.version,
            create_time: Some(wire::stamp(account.created)),
            update_time: Some(wire::stamp(account.newest)),
        }
    }
}

fn entitlement(entitled: &super::account::Entitled) -> v1::Entitlement {
    use v1::entitlement::Benefit as Has;
    use v1::set_entitlement_request::Benefit as Set;
    let benefit = entitled.benefit.clone().map(|benefit| match benefit {
        Set::Unlimited(unlimited) => Has::Unlimited(unlimited),
        Set::Quota(quota) => Has::Quota(quota),
    });
    let used = entitled.used.iter().filter(|(_, units)| **units != 0);
    v1::Entitlement {
        source: entitled.source.clone(),
        source_version: entitled.version,
        benefit,
        period_start_time: entitled.period_start.map(wire::stamp),
        expire_time: entitled.expire.map(wire::stamp),
        used_units: used.map(|(action, units)| (action.clone(), wire::tokens(*units))).collect(),
    }
}
