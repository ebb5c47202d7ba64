//! Who asks: where callers are identified, what they may is decided here.
//!
//! A [`Caller`] has a name (the actor of its transactions), scopes, and maybe a prefix of account ids
//! that it is bound to. [`Identity`] makes one from a call's bearer token or from the certificate
//! of its connection; [`method`] says what each method asks for. What a request names is held against
//! its caller where it is read: see [`crate::grpc::convert::Fields`].

mod caller;
pub mod method;

pub use caller::{Caller, Scope};

use http::{Extensions, HeaderMap};
use proto::reason::Error;
use std::sync::Arc;

/// How callers are identified.
#[derive(Debug)]
pub enum Identity {
    /// Not at all: whoever can connect may do everything.
    Off(Arc<Caller>),
}

impl Identity {
    /// Who makes a call with these headers on the connection of these extensions.
    ///
    /// # Errors
    /// CREDENTIAL_INVALID.
    pub async fn caller(&self, _: &HeaderMap, _: &Extensions) -> Result<Arc<Caller>, Error> {
        match self {
            Self::Off(anonymous) => Ok(Arc::clone(anonymous)),
        }
    }
}
