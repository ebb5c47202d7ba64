//! Prices before the work, and whether an account could pay them: debits that are never stored.

use super::{
    fields::{Fields, Terms},
    funding::funding,
};
use crate::grpc::status;
use ledger::{Act, Charge, Command, Fingerprint, Job, Mode, Note, Outcome, Receipt, Time, Work};
use proto::{
    catalog::Catalog,
    reason::Error,
    v1::{QuoteRequest, QuoteResponse, QuotedItem},
};

/// The most actions of one quote.
const ITEMS_MAX: usize = 100;

/// Priced actions.
#[derive(Clone, Debug)]
pub struct Quote {
    items: Vec<QuotedItem>,
    commands: Vec<Command>,
}

impl Quote {
    /// Prices the actions.
    ///
    /// # Errors
    /// INVALID_FIELD with every field that isn't as it must be, or ACTION_NOT_FOUND.
    pub fn read(request: &QuoteRequest, terms: Terms<'_>) -> Result<Self, Error> {
        let (account, charges) = Fields::read(terms, |fields| {
            let account = match request.account_id.as_str() {
                "" => Some(None),
                id => fields.account("account_id", id).map(Some),
            };
            let items = &request.items;
            let many = format!("give 1 to {ITEMS_MAX} actions");
            fields.check((1..=ITEMS_MAX).contains(&items.len()), "items", &many);
            let charges = items.iter().enumerate().map(|(index, item)| {
                let mut part = fields.part(format!("items[{index}]."));
                let charge = part.priced(&item.action, item.quantity);
                fields.absorb(part, charge)
            });
            // All of them first: the fields of every one are to be named.
            let charges: Option<Vec<_>> = charges.collect::<Vec<_>>().into_iter().collect();
            account.zip(charges)
        })?;
        let charges = charges.into_iter().collect::<Result<Vec<_>, Error>>()?;

        let command = |(index, charge)| {
            Some(Command {
                account: account.clone()?,
                key: Some(format!("sys/quote/{index}")),
                // As Authorize: who never had the trial would get it.
                act: Act::Authorize { charge, work: Work::Charge },
                note: Note::default(),
                fingerprint: Fingerprint::default(),
            })
        };
        let items = charges.iter().filter_map(|charge| item(charge, terms.catalog)).collect();
        Ok(Self { items, commands: charges.into_iter().enumerate().filter_map(command).collect() })
    }

    /// What the ledger is asked; `None` if no account would pay.
    #[must_use]
    pub fn job(&self) -> Option<Job> {
        let commands = self.commands.clone();
        (!commands.is_empty()).then_some(Job { commands, mode: Mode::AtomicDryRun })
    }

    /// The prices, and who would pay, given the outcomes of [`Quote::job`], if there was one.
    #[must_use]
    pub fn answer(
        self,
        outcomes: Option<Vec<Outcome>>,
        catalog: &Catalog,
        now: Time,
    ) -> QuoteResponse {
        let asked = outcomes.is_some();
        let receipts = outcomes.into_iter().flatten().collect::<Result<Vec<Receipt>, _>>();
        let (receipts, refusal) = match receipts {
            Ok(receipts) => (receipts, None),
            Err(rejection) => {
                (Vec::new(), Some(status::refused(&rejection, "Authorize", catalog, now).into()))
            }
        };
        let paid = receipts.iter().filter_map(|receipt| receipt.transaction.as_deref());
        QuoteResponse {
            amount: self.items.iter().map(|item| item.amount).sum(),
            items: self.items,
            funding: funding(paid, catalog),
            affordable: asked && refusal.is_none(),
            refusal,
            catalog_version: catalog.digest(),
        }
    }
}

fn item(charge: &Charge, catalog: &Catalog) -> Option<QuotedItem> {
    match charge {
        Charge::Tokens(_) => None,
        Charge::Action { action, quantity, unit } => Some(QuotedItem {
            action: action.clone(),
            label: catalog.action(action).map(|it| it.label.clone()).unwrap_or_default(),
            quantity: *quantity,
            unit_tokens: *unit,
            amount: unit * quantity,
        }),
    }
}
