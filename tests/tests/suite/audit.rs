//! Whatever somebody changes in the database behind the service's back is found; where nobody did,
//! nothing is.

use std::{collections::BTreeMap, time::Instant};
use tests::{tamper::Tampered, world::On};
use token_service::audit::Scope;

/// Tamperings per database.
const TAMPERINGS: usize = 1_000;

/// The seed of the ledgers and of what is done to them.
const SEED: u64 = 41;

#[tokio::test]
async fn a_thousand_tamperings_with_a_file_are_found() {
    every_tampering_is_found(On::Sqlite).await;
}

#[tokio::test]
async fn a_thousand_tamperings_with_a_server_are_found() {
    every_tampering_is_found(On::Postgres).await;
}

async fn every_tampering_is_found(on: On) {
    let ledger = Tampered::make(SEED, on).await;
    assert_eq!(ledger.verify(whole(&ledger)).await, [], "nobody has tampered with it yet");
    let began = Instant::now();
    let (mut done, mut missed) = (0, Vec::new());
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for tampering in ledger.tamperings(SEED) {
        if done == TAMPERINGS {
            break;
        }
        if ledger.tamper(&tampering).await {
            done += 1;
            let found = ledger.verify(Scope::default()).await;
            found.iter().for_each(|it| *codes.entry(it.code.as_str()).or_default() += 1);
            if found.is_empty() {
                missed.push(tampering.what);
            }
        }
        ledger.undo().await;
    }
    println!("{done} tamperings in {:?}, found {codes:?}", began.elapsed());
    assert!(missed.is_empty(), "seed {SEED}: not found: {missed:#?}");

    for tampering in [ledger.set_back(), ledger.account_set_back("eve")] {
        assert!(ledger.tamper(&tampering).await, "{}", tampering.what);
        assert_eq!(ledger.verify(Scope::default()).await, [], "{} fits in itself", tampering.what);
        let found = ledger.verify(whole(&ledger)).await;
        assert!(!found.is_empty(), "{} shows against a checkpoint", tampering.what);
        ledger.undo().await;
    }
    assert_eq!(ledger.verify(whole(&ledger)).await, [], "it is what it was");
}

/// All of it, against its checkpoint.
fn whole(ledger: &Tampered) -> Scope {
    Scope { checkpoint: Some(ledger.checkpoint().clone()), ..Scope::default() }
}
