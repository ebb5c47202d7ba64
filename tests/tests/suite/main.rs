//! The black-box suite: one binary, so that it links once.

mod audit;
mod command_line;
mod concurrency;
mod crash;
mod database;
mod events;
mod limits;
mod lost_answers;
mod many_grants;
mod matrix;
mod notices;
mod outage;
mod plain_pool;
mod postgres;
mod random;
mod scenarios;
mod simulator;
mod strangers;
mod watch;
