//! The testkit: what every black-box test needs to start a world and talk to it.

pub mod agree;
pub mod core;
pub mod credentials;
pub mod disk;
pub mod follower;
pub mod gateway;
pub mod health;
pub mod http;
pub mod http2;
pub mod interceptor;
pub mod key_server;
pub mod model;
pub mod postgres;
pub mod process;
pub mod promises;
pub mod proxy;
pub mod raw_call;
mod rows;
pub mod scenario;
pub mod siege;
pub mod simulator;
pub mod stripe_sim;
pub mod tamper;
pub mod target;
pub mod workload;
pub mod world;
