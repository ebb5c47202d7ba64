//! Stripe: its signatures and events, the calls to it, and what its objects say.

pub mod breaker;
pub mod check;
pub mod client;
pub mod event;
pub mod facts;
pub mod request;
pub mod signature;

pub use client::{Answer, CallError, Client};
pub use request::Request;
