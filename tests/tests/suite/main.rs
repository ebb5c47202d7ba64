//! The black-box suite: one binary, so that it links once.

mod command_line;
mod concurrency;
mod crash;
mod database;
mod limits;
mod many_grants;
mod matrix;
mod postgres;
mod random;
mod scenarios;
mod simulator;
mod watch;
