//! The contract between the services and their callers: the wire types of `token.v1` and `payments.v1`,
//! why a call was refused, how to connect, who a bearer is (the feature `jwt`, for services: clients do
//! without its cryptography), and the catalog that both services must agree on. It knows nothing of either
//! service.

pub mod catalog;
pub mod client;
pub mod deadline;
#[cfg(feature = "jwt")]
pub mod jwt;
pub mod reason;

/// Generated from `proto/token/v1/*.proto`; the comments there are the documentation.
#[allow(missing_docs, clippy::all, clippy::as_conversions, unused_qualifications)]
pub mod token {
    /// The first version of the contract.
    pub mod v1 {
        tonic::include_proto!("token.v1");

        /// The encoded `FileDescriptorSet`, for reflection.
        pub const FILE_DESCRIPTOR_SET: &[u8] =
            include_bytes!(concat!(env!("OUT_DIR"), "/token.v1.binpb"));
    }
}

/// Generated from `proto/payments/v1/*.proto`; the comments there are the documentation.
#[allow(missing_docs, clippy::all, clippy::as_conversions, unused_qualifications)]
pub mod payments {
    /// The first version of operators' side of the gateway.
    pub mod v1 {
        tonic::include_proto!("payments.v1");

        /// The encoded `FileDescriptorSet`, for reflection.
        pub const FILE_DESCRIPTOR_SET: &[u8] =
            include_bytes!(concat!(env!("OUT_DIR"), "/payments.v1.binpb"));
    }
}

pub use token::v1;
