//! Compiles `token/v1/*.proto` and `payments/v1/*.proto` with protox, so that nobody needs `protoc`, and
//! keeps the file descriptors for reflection: apart, since each service tells of its own methods alone.

use prost::Message as _;
use std::{env, error::Error, fs, path::PathBuf};

const TOKEN: [&str; 7] = [
    "token/v1/account.proto",
    "token/v1/admin_service.proto",
    "token/v1/catalog.proto",
    "token/v1/error.proto",
    "token/v1/grant.proto",
    "token/v1/token_service.proto",
    "token/v1/transaction.proto",
];

const PAYMENTS: [&str; 5] = [
    "payments/v1/alert.proto",
    "payments/v1/error.proto",
    "payments/v1/inbox.proto",
    "payments/v1/operator_service.proto",
    "payments/v1/purchase.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=token");
    println!("cargo::rerun-if-changed=payments");
    compile("token.v1", &TOKEN)?;
    compile("payments.v1", &PAYMENTS)
}

/// Generates a package's code, and writes down what its files say.
fn compile(package: &str, files: &[&str]) -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join(format!("{package}.binpb")), descriptors.encode_to_vec())?;
    // Maps as BTreeMap: encoding a request twice gives the same bytes, which idempotency compares.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
