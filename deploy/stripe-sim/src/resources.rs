//! What each kind of object does. A resource knows the rules of its own kind; where money moves the order
//! is: intent → charge → balance, and whoever waits for the intent (a session, an invoice) is told last.

pub(crate) mod account;
pub(crate) mod cards;
pub(crate) mod catalog;
pub(crate) mod challenge;
pub(crate) mod charges;
pub(crate) mod checkout;
pub(crate) mod customers;
pub(crate) mod disputes;
pub(crate) mod invoices;
pub(crate) mod lines;
pub(crate) mod payment_intents;
pub(crate) mod payment_methods;
pub(crate) mod portal;
pub(crate) mod promotions;
pub(crate) mod refunds;
pub(crate) mod setup_intents;
pub(crate) mod subscriptions;
pub(crate) mod webhooks;
