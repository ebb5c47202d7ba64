//! Stripe on your machine: its API, pages and webhooks, simulated with their state, for local mode and tests.
//!
//! ```text
//!  SDK, CLI ──▶ server ──▶ api ──▶ resources ──▶ world ──▶ deliveries ──▶ sender ──▶ your webhook
//!  browser  ──▶ server ──▶ pages ─────┘             ▲
//!  tests    ──▶ server ──▶ control ─────────────────┘  (clock, faults, weather)
//! ```
//!
//! One lock guards one world, and everything under it is plain code without waiting: a call sees and leaves
//! a state that makes sense. What takes time is outside: sockets, latency asked for, deliveries.

mod api;
mod calendar;
mod clock;
mod control;
mod deliveries;
mod fail;
mod faults;
mod idempotency;
mod journal;
mod json;
mod kind;
mod money;
mod pages;
mod params;
mod render;
mod resources;
mod search;
mod sender;
mod server;
mod skeleton;
mod timers;
mod versions;
mod world;

pub use server::{Running, Settings, start};
