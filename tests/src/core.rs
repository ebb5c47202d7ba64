//! The core alone as a [`Target`]: the ledger's pure functions and the edge's conversions around
//! them, on maps in memory. What the service adds (queue, store, wire) isn't here, so a test that
//! passes on the core and fails on a server has found where to look.

mod read;

use crate::{
    rows::Rows,
    target::{Call, Reply, Target},
};
use ledger::{ChainKey, Command, Job, Mode, Outcome, Policy, Receipt, Rejection, Status, Time};
use proto::{catalog::Catalog, reason::Error, v1};
use token_service::{
    grpc::{
        convert::{self, Ask, Batch, Quote, Terms},
        status,
    },
    identity::Caller,
};

/// A ledger in memory.
#[derive(Debug)]
pub struct Core {
    catalog: Catalog,
    caller: Caller,
    policy: Policy,
    key: ChainKey,
    now: Time,
    rows: Rows,
}

impl Core {
    /// An empty ledger under this catalog, in the year 1970.
    #[must_use]
    pub fn new(catalog: &Catalog) -> Self {
        Self {
            catalog: catalog.clone(),
            caller: Caller::anonymous(),
            policy: token_service::policy::policy(catalog),
            key: ChainKey::new("test", b"sixteen or more."),
            now: Time(0),
            rows: Rows::default(),
        }
    }

    /// The same ledger under another catalog, as after a restart.
    pub fn change_catalog(&mut self, catalog: &Catalog) {
        self.catalog = catalog.clone();
        self.policy = token_service::policy::policy(catalog);
    }

    /// The accounts, for tests that need one which no call could make.
    pub fn accounts_mut(&mut self) -> impl Iterator<Item = &mut ledger::Account> {
        self.rows.accounts.values_mut()
    }

    fn terms(&self) -> Terms<'_> {
        Terms { catalog: &self.catalog, caller: &self.caller }
    }

    fn answer(&mut self, call: Call) -> Result<Reply, Error> {
        Ok(match call {
            Call::Credit(it) => Reply::Credit(self.ask(&it)?),
            Call::Debit(it) => Reply::Debit(self.ask(&it)?),
            Call::Reverse(it) => Reply::Reverse(self.ask(&it)?),
            Call::Transfer(it) => Reply::Transfer(self.ask(&it)?),
            Call::CreateHold(it) => Reply::CreateHold(self.ask(&it)?),
            Call::CaptureHold(it) => Reply::CaptureHold(self.ask(&it)?),
            Call::ReleaseHold(it) => Reply::ReleaseHold(self.ask(&it)?),
            Call::SetClawback(it) => Reply::SetClawback(self.ask(&it)?),
            Call::SetEntitlement(it) => Reply::SetEntitlement(self.ask(&it)?),
            Call::Authorize(it) => Reply::Authorize(self.ask(&it)?),
            Call::Batch(it) => Reply::Batch(self.batch(&it)?),
            Call::Quote(it) => Reply::Quote(self.quote(&it)?),
            Call::FreezeAccount(v1::FreezeAccountRequest { account_id, note }) => {
                let account = self.set_status(&account_id, &note, Status::Frozen)?;
                Reply::FreezeAccount(v1::FreezeAccountResponse { account: Some(account) })
            }
            Call::UnfreezeAccount(v1::UnfreezeAccountRequest { account_id, note }) => {
                let account = self.set_status(&account_id, &note, Status::Active)?;
                Reply::UnfreezeAccount(v1::UnfreezeAccountResponse { account: Some(account) })
            }
            Call::CloseAccount(v1::CloseAccountRequest { account_id, note }) => {
                let account = self.set_status(&account_id, &note, Status::Closed)?;
                Reply::CloseAccount(v1::CloseAccountResponse { account: Some(account) })
            }
            Call::UpdateAccount(it) => {
                let command = convert::set_settings(&it, self.terms())?;
                let account = self.change(command, "UpdateAccount")?;
                Reply::UpdateAccount(v1::UpdateAccountResponse { account: Some(account) })
            }
            Call::GetBalance(it) => Reply::GetBalance(self.get_balance(&it)?),
            Call::GetTransaction(it) => Reply::GetTransaction(self.get_transaction(&it)?),
            Call::ListTransactions(it) => Reply::ListTransactions(self.list_transactions(it)?),
            Call::ListGrants(it) => Reply::ListGrants(self.list_grants(it)?),
            Call::ListHolds(it) => Reply::ListHolds(self.list_holds(it)?),
            Call::GetUsage(it) => Reply::GetUsage(self.get_usage(&it)?),
            Call::GetAccount(it) => Reply::GetAccount(self.get_account(&it)?),
        })
    }

    fn ask<R: Ask>(&mut self, request: &R) -> Result<R::Answer, Error> {
        let command = convert::command(request, self.terms())?;
        let receipt = self.run(command, R::METHOD, request.mode())?;
        Ok(request.answer(&receipt, &self.catalog))
    }

    fn run(&mut self, command: Command, method: &str, mode: Mode) -> Result<Receipt, Error> {
        let mut outcomes = self.submit(Job { commands: vec![command], mode });
        let outcome = outcomes.pop().expect("an outcome for each command");
        outcome.map_err(|rejection| self.refused(&rejection, method))
    }

    fn refused(&self, rejection: &Rejection, method: &str) -> Error {
        status::refused(rejection, method, &self.catalog, self.now)
    }

    /// What the committer does, without a database: load, apply, check, write.
    fn submit(&mut self, job: Job) -> Vec<Outcome> {
        let jobs = [job];
        let mut needs = ledger::footprint(&jobs);
        loop {
            let state = self.rows.load(&needs);
            match ledger::apply(&jobs, state, &self.policy, &self.key, self.now) {
                Err(more) => assert!(needs.extend(*more), "it asks for rows that it has"),
                Ok(mut applied) => {
                    if let Err(broken) = applied.effects.check() {
                        panic!("a law is broken: {broken}");
                    }
                    self.rows.write(applied.effects);
                    self.rows.check_spilled();
                    return applied.outcomes.pop().expect("outcomes for each job");
                }
            }
        }
    }

    fn batch(&mut self, request: &v1::BatchRequest) -> Result<v1::BatchResponse, Error> {
        let batch = Batch::read(request, self.terms())?;
        let outcomes = self.submit(batch.job());
        batch.answer(outcomes, &self.catalog, self.now)
    }

    fn quote(&mut self, request: &v1::QuoteRequest) -> Result<v1::QuoteResponse, Error> {
        let quote = Quote::read(request, self.terms())?;
        let outcomes = quote.job().map(|job| self.submit(job));
        Ok(quote.answer(outcomes, &self.catalog, self.now))
    }

    fn set_status(
        &mut self,
        account_id: &str,
        note: &str,
        status: Status,
    ) -> Result<v1::Account, Error> {
        let command = convert::set_status(account_id, note, status, self.terms())?;
        self.change(command, "SetStatus")
    }

    fn change(&mut self, command: Command, method: &str) -> Result<v1::Account, Error> {
        let id = command.account.clone();
        self.run(command, method, Mode::Independent)?;
        self.account_now(&id)
    }
}

impl Target for Core {
    async fn call(&mut self, call: Call) -> Result<Reply, tonic::Status> {
        self.answer(call).map_err(Into::into)
    }

    fn set_time(&mut self, micros: i64) {
        self.now = Time(micros);
    }
}
