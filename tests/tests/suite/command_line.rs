//! The executable as an operator meets it: settings, exit codes, migrations, keys.

use tests::process::{Process, run};

/// What `sysexits.h` calls EX_USAGE.
const NONSENSE: i32 = 64;

#[test]
fn nonsense_ends_with_64_and_says_what_was_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "lissten = \"127.0.0.1:0\"\n").expect("written");
    let file = file.display().to_string();
    let nonsense = |arguments: &[&str], environment: &[(&str, &str)], said: &str| {
        let output = run(folder.path(), arguments, environment);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(NONSENSE), "{arguments:?}: {words}");
        assert!(words.contains(said), "{arguments:?} should say {said}: {words}");
    };
    nonsense(&["--lisen", "127.0.0.1:0"], &[], "--listen");
    nonsense(&["--config", &file], &[], "listen");
    nonsense(&[], &[("TOKEN_SERVICE_LISEN", "127.0.0.1:0")], "TOKEN_SERVICE_LISTEN");
    nonsense(&["--batch-commands-max", "0"], &[], "batch-commands-max");
    nonsense(&["--listen", "0.0.0.0:50051"], &[], "--insecure");
    nonsense(&["--database", "mysql://localhost/x"], &[], "sqlite:");
}

#[test]
fn config_tells_every_setting_and_where_it_came_from_but_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = "canary-canary-canary";
    let keys = format!("k1:{secret}");
    let environment = [("LEDGER_CHAIN_KEYS", keys.as_str()), ("TOKEN_SERVICE_LOG", "debug")];
    let output = run(folder.path(), &["config", "--sweep-interval-ms", "5000"], &environment);
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0));
    for (setting, source) in [
        (["sweep_interval_ms", "=", "5000"], "flag"),
        (["log", "=", "\"debug\""], "TOKEN_SERVICE_LOG"),
        (["batch_commands_max", "=", "512"], "default"),
    ] {
        let says = |line: &&str| line.split_whitespace().take(3).eq(setting);
        let line = words.lines().find(says);
        let line = line.unwrap_or_else(|| panic!("no {setting:?} in {words}"));
        assert!(line.contains(source), "{line} should name {source}");
    }
    assert!(!words.contains(secret), "a secret is printed");
}

#[test]
fn migrate_says_what_it_does_and_check_only_looks() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = "--database=sqlite:ledger.db";
    let check = || run(folder.path(), &["migrate", "--check", database], &[]).status.code();
    assert_eq!(check(), Some(1), "there is something to migrate");
    assert!(!folder.path().join("ledger.db").exists(), "and it is only looked at");
    assert_eq!(run(folder.path(), &["migrate", database], &[]).status.code(), Some(0));
    assert_eq!(check(), Some(0), "nothing is left to migrate");
}

#[test]
fn a_catalog_with_a_mistake_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = "economy = \"mine\"\ntitle = \"Mine\"\ncurrency = \"usd\"\n\n[[actions]]\nid = \"a\"\nlabel = \"A\"\ntokens = -1\n";
    std::fs::write(folder.path().join("mine.toml"), catalog).expect("written");
    let arguments = ["--catalog", "mine.toml", "--listen", "127.0.0.1:0"];
    let output = run(folder.path(), &arguments, &[]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_ne!(output.status.code(), Some(0));
    assert!(words.contains("mine.toml:8"), "{words}");
}

#[tokio::test]
async fn a_ledger_whose_key_is_missing_or_changed_is_not_served() {
    let folder = tempfile::tempdir().expect("a folder");
    Process::start(folder.path(), &[]).await.terminate().await;
    let keys = folder.path().join("ledger.db.keys");
    let kept = std::fs::read_to_string(&keys).expect("local mode makes a key");
    let serve = ["--database=sqlite:ledger.db", "--listen=127.0.0.1:0"];

    std::fs::remove_file(&keys).expect("removed");
    let output = run(folder.path(), &serve, &[]);
    assert_eq!(output.status.code(), Some(1), "the key is missing");
    assert!(!keys.exists(), "and no other is made in its place");

    let other = format!("{}:{}", kept.split(':').next().expect("a name"), "x".repeat(32));
    std::fs::write(&keys, other).expect("written");
    assert_eq!(run(folder.path(), &serve, &[]).status.code(), Some(1), "the secret has changed");

    std::fs::write(&keys, format!("new:{}\n", "n".repeat(32))).expect("written");
    assert_eq!(run(folder.path(), &serve, &[]).status.code(), Some(1), "the old key is missing");

    let rotated = format!("new:{},{}", "n".repeat(32), kept.trim());
    std::fs::write(&keys, rotated).expect("written");
    assert_eq!(Process::start(folder.path(), &[]).await.terminate().await, Some(0), "rotated");
}
