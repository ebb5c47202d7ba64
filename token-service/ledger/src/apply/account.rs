//! Status and settings: what operators do to an account.

use super::{
    Book, Receipt,
    post::{Draft, Leg},
};
use crate::{
    account::{Settings, SpendCap, Status},
    command::Command,
    id::System,
    rejection::Rejection,
    state::Stop,
    time::Time,
    tokens::Tokens,
    transaction::{Change, TransactionType},
};

impl Book<'_> {
    pub(super) fn set_status(
        &mut self,
        command: &Command,
        status: Status,
    ) -> Result<Receipt, Stop> {
        let at = self.now_for(&[&command.account])?;
        let account = self.state.existing(&command.account)?;
        if account.status == status {
            return self.unchanged(&command.account);
        }
        if account.status == Status::Closed {
            return Err(Rejection::AccountClosed { account: command.account.clone() }.into());
        }
        let (posted, held, debt) = (account.posted, account.held, account.body.debt);
        let scheduled = account.scheduled();
        let busy = !account.body.holds.is_empty() || account.has_grants() || debt > 0;
        if status == Status::Closed && busy {
            return Err(Rejection::AccountNotEmpty { posted, held, debt, scheduled }.into());
        }

        self.change_account(command, at, Change::Status(status))
    }

    pub(super) fn set_settings(
        &mut self,
        command: &Command,
        threshold: Option<Option<Tokens>>,
        caps: Option<&[SpendCap]>,
        expected: i64,
    ) -> Result<Receipt, Stop> {
        let at = self.now_for(&[&command.account])?;
        let account = self.state.account(&command.account)?;
        let version = account.map_or(0, |account| account.body.version);
        if expected != 0 && expected != version {
            return Err(Rejection::VersionMismatch { expected, version }.into());
        }
        let old = account.map(|account| account.body.settings.clone()).unwrap_or_default();

        let settings = Settings {
            threshold: threshold.unwrap_or(old.threshold),
            caps: match caps {
                None => old.caps,
                Some(caps) => caps.to_vec(),
            },
        };
        self.change_account(command, at, Change::Settings(Box::new(settings)))
    }

    fn change_account(
        &mut self,
        command: &Command,
        at: Time,
        change: Change,
    ) -> Result<Receipt, Stop> {
        let sequence = self.next_sequence(&command.account)?;
        let mut draft = Draft::of(command, TransactionType::AccountChange, at);
        draft.key = format!("sys/account/{sequence}");
        draft.legs.push(Leg::new(&command.account, System::Issuance, vec![change]));
        Ok(self.post(draft))
    }
}
