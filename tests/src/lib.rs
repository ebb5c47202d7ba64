//! The testkit: what every black-box test needs to start a world and talk to it.

pub mod agree;
pub mod core;
pub mod model;
pub mod postgres;
pub mod process;
mod rows;
pub mod scenario;
pub mod simulator;
pub mod target;
pub mod workload;
pub mod world;
