//! Whatever somebody changes in the database behind the service's back is found; where nobody did,
//! nothing is.

use proto::{
    catalog::Catalog,
    v1::{
        self, CreditRequest, GetCheckpointRequest, LedgerFinding, VerifyLedgerRequest,
        admin_service_client::AdminServiceClient, token_service_client::TokenServiceClient,
    },
};
use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
    time::Instant,
};
use tempfile::NamedTempFile;
use tests::{
    agree,
    process::{Home, Process, run},
    tamper::{Tampered, Tampering},
    workload::Workload,
    world::{On, World},
};
use token_service::audit::Scope;
use tokio::{select, task::JoinSet};
use tonic::{Code, Status, transport::Channel};

/// Tamperings per database.
const TAMPERINGS: usize = 1_000;

/// Of so many tamperings one is looked for by the other program too: it takes a second for each.
const OFFLINE_EVERY: usize = 20;

/// What was done to the ledger before anybody tampered with it.
const UNTOUCHED: &str = "nothing";

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
    let mut offline = Offline::default();
    offline.keep(UNTOUCHED, ledger.exported().await);
    let began = Instant::now();
    let (mut done, mut missed) = (0, Vec::new());
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for tampering in ledger.tamperings(SEED) {
        if done == TAMPERINGS {
            break;
        }
        if ledger.tamper(&tampering).await {
            done += 1;
            if done % OFFLINE_EVERY == 0 {
                offline.keep(&tampering.what, ledger.exported().await);
            }
            let found = ledger.verify(Scope::default()).await;
            found.iter().for_each(|it| *codes.entry(it.code.as_str()).or_default() += 1);
            if found.is_empty() {
                missed.push(tampering.what.clone());
            }
        }
        ledger.undo().await;
    }
    println!("{done} tamperings in {:?}, found {codes:?}", began.elapsed());
    assert!(missed.is_empty(), "seed {SEED}: not found: {missed:#?}");
    assert_eq!(offline.accepted(ledger.key_file()), [UNTOUCHED], "the other program agrees");

    for tampering in hidden(on) {
        assert!(ledger.tamper(&tampering).await, "{}", tampering.what);
        assert!(!ledger.verify(Scope::default()).await.is_empty(), "{} is found", tampering.what);
        ledger.undo().await;
    }
    for tampering in [ledger.set_back(), ledger.account_set_back("eve")] {
        assert!(ledger.tamper(&tampering).await, "{}", tampering.what);
        assert_eq!(ledger.verify(Scope::default()).await, [], "{} fits in itself", tampering.what);
        let found = ledger.verify(whole(&ledger)).await;
        assert!(!found.is_empty(), "{} shows against a checkpoint", tampering.what);
        ledger.undo().await;
    }
    assert_eq!(ledger.verify(whole(&ledger)).await, [], "it is what it was");
}

/// What could hide from whoever reads page by page: rows before the first that there can be, and rows whose
/// key can't be read.
fn hidden(on: On) -> Vec<Tampering> {
    let code = match on {
        On::Sqlite => "zeroblob(32)",
        On::Postgres => "decode(repeat('00', 32), 'hex')",
    };
    let one = |what: &str, statement: String| Tampering {
        what: what.to_owned(),
        statements: vec![statement],
    };
    let mut all = vec![
        one("a key without a name", format!("INSERT INTO {{}}chain_keys VALUES ('', {code})")),
        one(
            "a grant of nobody",
            "INSERT INTO {}grants SELECT '', grant_id, open, body FROM {}grants LIMIT 1".to_owned(),
        ),
    ];
    if let On::Sqlite = on {
        let short = "UPDATE {}grants SET grant_id = zeroblob(15) \
                     WHERE grant_id = (SELECT min(grant_id) FROM {}grants)";
        all.push(one("an id of 15 bytes", short.to_owned()));
    }
    all
}

/// Exports, each with what was done to the ledger, for the program that shares no code with ours.
#[derive(Default)]
struct Offline {
    exports: Vec<(String, NamedTempFile)>,
}

impl Offline {
    fn keep(&mut self, what: &str, export: Option<Vec<u8>>) {
        // What can't be written is noticed.
        let Some(export) = export else { return };
        let file = NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), export).expect("written");
        self.exports.push((what.to_owned(), file));
    }

    /// What was done to those in which it finds nothing.
    fn accepted(&self, keys: &Path) -> Vec<&str> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verify_ledger.py");
        let files = self.exports.iter().map(|(_, file)| file.path());
        let mut verify = Command::new("python3");
        verify.arg(script).arg("--key-file").arg(keys).args(files);
        let output = verify.output().expect("python3 is there");
        assert_ne!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).expect("text");
        let fine = |file: &NamedTempFile| {
            let line = format!("{}: ok", file.path().display());
            said.lines().any(|it| it == line)
        };
        self.exports.iter().filter(|(_, file)| fine(file)).map(|(what, _)| what.as_str()).collect()
    }
}

#[tokio::test]
async fn what_nobody_has_tampered_with_fits() {
    for (seeds, on) in [(50_000..50_012, On::Sqlite), (50_012..50_016, On::Postgres)] {
        for seed in seeds {
            let workload = Workload::random(seed, 150);
            let mut wire = World::wire(&workload.catalog, on).await;
            if let Err(disagreement) = agree::run(&mut wire, &workload).await {
                panic!("{disagreement}");
            }
            let mut operator = wire.operator().clone();
            let whole = VerifyLedgerRequest::default();
            let (found, _) = verified(&mut operator, whole).await.expect("it is verified");
            assert_eq!(found, [], "seed {seed}");
            wire.into_world().stop().await;
        }
    }
}

/// All of it, against its checkpoint.
fn whole(ledger: &Tampered) -> Scope {
    Scope { checkpoint: Some(ledger.checkpoint().clone()), ..Scope::default() }
}

#[tokio::test]
async fn a_service_that_goes_on_writing_verifies_itself_on_a_file() {
    a_busy_service_verifies_itself(On::Sqlite).await;
}

#[tokio::test]
async fn a_service_that_goes_on_writing_verifies_itself_on_a_server() {
    a_busy_service_verifies_itself(On::Postgres).await;
}

async fn a_busy_service_verifies_itself(on: On) {
    let catalog = Catalog::load("phoenix").expect("shipped");
    let wire = World::wire(&catalog, on).await;
    let (client, mut operator) = (wire.client().clone(), wire.operator().clone());
    credit(client.clone(), "alice", 0).await;
    let checkpoint = operator.get_checkpoint(GetCheckpointRequest {}).await.expect("one");
    let checkpoint = checkpoint.into_inner().checkpoint;
    let writing = async {
        for number in 1.. {
            credit(client.clone(), ["alice", "bob", "cid"][number % 3], number).await;
        }
    };
    let verifying = async {
        for _ in 0..10 {
            let whole =
                VerifyLedgerRequest { checkpoint: checkpoint.clone(), ..Default::default() };
            let (found, last) = verified(&mut operator, whole).await.expect("it is verified");
            assert_eq!(found, []);
            assert!(last.done && last.accounts >= 1 && last.entries >= last.accounts);
        }
        let one = VerifyLedgerRequest { account_id: "alice".to_owned(), ..Default::default() };
        let (found, last) = verified(&mut operator, one).await.expect("it is verified");
        assert_eq!((found, last.accounts), (vec![], 1));
    };
    select! {
        () = writing => {}
        () = verifying => {}
    }
    let both =
        VerifyLedgerRequest { account_id: "alice".to_owned(), checkpoint: checkpoint.clone() };
    let refused = verified(&mut operator, both).await.expect_err("one account has no checkpoint");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let nonsense =
        VerifyLedgerRequest { checkpoint: b"nonsense".to_vec(), ..VerifyLedgerRequest::default() };
    let refused = verified(&mut operator, nonsense).await.expect_err("it is none");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let text = String::from_utf8(checkpoint).expect("text");
    let forged = text.replacen("\\\"posted\\\":\\\"100\\\"", "\\\"posted\\\":\\\"101\\\"", 1);
    assert_ne!(forged, text, "it says how much is posted");
    let forged = VerifyLedgerRequest { checkpoint: forged.into_bytes(), ..Default::default() };
    let (found, _) = verified(&mut operator, forged).await.expect("it is verified");
    let codes: Vec<&str> = found.iter().map(|it| it.finding.as_str()).collect();
    assert_eq!(codes, ["CHECKPOINT_INVALID", "CHECKPOINT_MISMATCH"]);
    wire.into_world().stop().await;
}

#[tokio::test]
async fn whoever_goes_away_ends_the_verification() {
    let catalog = Catalog::load("phoenix").expect("shipped");
    let wire = World::wire(&catalog, On::Sqlite).await;
    credit(wire.client().clone(), "alice", 0).await;
    let mut verifications = JoinSet::new();
    for _ in 0..50 {
        let mut operator = wire.operator().clone();
        verifications.spawn(async move {
            operator.verify_ledger(VerifyLedgerRequest::default()).await.map(drop)
        });
    }
    while let Some(begun) = verifications.join_next().await {
        begun.expect("no panic").expect("it begins");
    }
    wire.into_world().stop().await;
}

#[tokio::test]
async fn a_rotated_key_signs_and_the_old_one_still_verifies() {
    for home in [Home::sqlite(), Home::postgres().await] {
        let (a, b) = (format!("a:{}", "a".repeat(32)), format!("b:{}", "b".repeat(32)));
        let rotated = format!("{b},{a}");
        let service = home.start(&["--chain-keys", &a]).await;
        credit(service.client().await, "alice", 1).await;
        let early = checkpoint(&service).await;
        assert_eq!(service.terminate().await, Some(0));

        let service = home.start(&["--chain-keys", &rotated]).await;
        credit(service.client().await, "alice", 2).await;
        let late = checkpoint(&service).await;
        let mut operator = AdminServiceClient::new(service.channel().await);
        for (key, text) in [("a", early), ("b", late)] {
            assert!(
                String::from_utf8_lossy(&text).contains(&format!("\\\"key_id\\\":\\\"{key}\\\""))
            );
            let request = VerifyLedgerRequest { checkpoint: text, ..Default::default() };
            let (found, last) = verified(&mut operator, request).await.expect("it is verified");
            assert_eq!((found, last.entries), (vec![], 2), "a checkpoint signed by {key}");
        }
        assert_eq!(service.terminate().await, Some(0));

        let database = ["--database", home.url(), "--listen", "127.0.0.1:0"];
        let without = |command: &[&str]| {
            let arguments = [command, &database[..], &["--chain-keys", &b]].concat();
            run(home.folder(), &arguments, &[])
        };
        assert_eq!(without(&[]).status.code(), Some(1), "it refuses to start without a");
        let output = without(&["verify"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("CHAIN_KEY_UNKNOWN"), "{}", said(&output));
    }
}

#[tokio::test]
async fn the_command_line_audits_what_no_service_runs_on() {
    let home = Home::sqlite();
    let service = home.start(&[]).await;
    for (number, account) in ["alice", "bob", "alice"].into_iter().enumerate() {
        credit(service.client().await, account, number).await;
    }
    assert_eq!(service.terminate().await, Some(0));
    let folder = home.folder();
    let audit = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        run(folder, &[&words[..], &["--database", "sqlite:ledger.db"]].concat(), &[])
    };
    let code = |output: &Output| output.status.code();

    let output = audit("verify");
    assert_eq!(
        (code(&output), &*said(&output)),
        (Some(0), "2 accounts and 3 entries verified, 0 findings\n")
    );
    assert!(said(&audit("verify --account bob")).starts_with("1 accounts and 1 entries"));
    assert_eq!(code(&audit("checkpoint --out kept")), Some(0));
    let keys = said(&audit("checkpoint --public-key"));
    let (name, key) = keys.trim().split_once(' ').expect("a name and a key");
    assert_eq!((name, key.len()), ("local", 64));
    assert_eq!(code(&audit(&format!("verify --checkpoint kept --public-key {key}"))), Some(0));
    let other = "0".repeat(64);
    let output = audit(&format!("verify --checkpoint kept --public-key {other}"));
    assert_eq!(code(&output), Some(1));
    assert!(said(&output).starts_with("CHECKPOINT_INVALID: "), "{}", said(&output));

    let output = audit("export");
    assert_eq!(code(&output), Some(0));
    let lines: Vec<serde_json::Value> = said(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    assert_eq!(
        (&lines[0]["format"], &lines[0]["position"]),
        (&"token-ledger-export/1".into(), &3.into())
    );
    let of = |table: &str| lines.iter().filter(|line| line["table"] == table).count();
    let tables = ["chain_keys", "commits", "transactions", "accounts", "entries", "grants"];
    assert_eq!(tables.map(of), [1, 3, 3, 2, 3, 0]);

    nothing_is_made(folder);
}

/// An audit needs a ledger and its keys, and makes neither.
fn nothing_is_made(folder: &Path) {
    let keys = folder.join("ledger.db.keys");
    let away = folder.join("away");
    std::fs::rename(&keys, &away).expect("renamed");
    for (words, missing) in [
        (&["verify", "--database=sqlite:ledger.db"][..], &keys),
        (&["checkpoint", "--database=sqlite:ledger.db"], &keys),
        (&["export", "--database=sqlite:nowhere.db"], &folder.join("nowhere.db")),
    ] {
        let output = run(folder, words, &[]);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(!output.stderr.is_empty(), "it says why");
        assert!(!missing.exists(), "{words:?} makes nothing");
    }
    std::fs::rename(away, keys).expect("renamed");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn checkpoint(service: &Process) -> Vec<u8> {
    let mut operator = AdminServiceClient::new(service.channel().await);
    let checkpoint = operator.get_checkpoint(GetCheckpointRequest {}).await.expect("one");
    checkpoint.into_inner().checkpoint
}

async fn credit(mut client: TokenServiceClient<Channel>, account_id: &str, number: usize) {
    let request = CreditRequest {
        account_id: account_id.to_owned(),
        idempotency_key: format!("credit/{number}"),
        amount: 100,
        kind: v1::GrantKind::Purchased.into(),
        ..CreditRequest::default()
    };
    client.credit(request).await.expect("it is accepted");
}

/// Everything that was found, and the last message.
async fn verified(
    operator: &mut AdminServiceClient<Channel>,
    request: VerifyLedgerRequest,
) -> Result<(Vec<LedgerFinding>, v1::VerifyLedgerResponse), Status> {
    let mut reports = operator.verify_ledger(request).await?.into_inner();
    let (mut found, mut last) = (Vec::new(), v1::VerifyLedgerResponse::default());
    while let Some(report) = reports.message().await? {
        found.extend(report.findings.clone());
        last = report;
    }
    Ok((found, last))
}
