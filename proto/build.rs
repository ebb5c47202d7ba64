//! Compiles `token/v1/*.proto` with protox, so that nobody needs `protoc`, and keeps the file
//! descriptors for reflection.

use prost::Message as _;
use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 7] = [
    "token/v1/account.proto",
    "token/v1/admin_service.proto",
    "token/v1/catalog.proto",
    "token/v1/error.proto",
    "token/v1/grant.proto",
    "token/v1/token_service.proto",
    "token/v1/transaction.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=token");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("token.v1.binpb"), descriptors.encode_to_vec())?;
    // Maps as BTreeMap: encoding a request twice gives the same bytes, which idempotency compares.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
