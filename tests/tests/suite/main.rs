//! The black-box suite: one binary, so that it links once.

mod accounts;
mod bulk_credit;
mod command_line;
mod concurrency;
mod crash;
mod database;
mod events;
mod identity;
mod key_sets;
mod limits;
mod lost_answers;
mod many_grants;
mod matrix;
mod metrics;
mod notices;
mod outage;
mod plain_pool;
mod postgres;
mod random;
mod scenarios;
mod secrets;
mod simulator;
mod statement;
mod strangers;
mod totals;
mod watch;
