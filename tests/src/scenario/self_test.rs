//! Does the language notice what it should? Lines that can't be understood, and lines that aren't
//! true.

use super::{Failure, parse, run};
use crate::core::Core;
use proto::catalog::Catalog;

const BEGIN: &str = "catalog domains\nscenario It is so\n";

/// What becomes of these lines.
async fn told(lines: &str) -> Result<(), Failure> {
    let scenarios = parse("a.txt", &format!("{BEGIN}{lines}")).expect("lines that make sense");
    for scenario in &scenarios {
        let catalog = Catalog::parse("a catalog", &scenario.catalog).expect("a catalog");
        run(scenario, &mut Core::new(&catalog)).await?;
    }
    Ok(())
}

#[test]
fn what_is_not_understood_is_told_with_its_line_and_what_was_expected() {
    for (lines, expected) in [
        ("debt alice 1", "3: expected a command, found `debt`"),
        ("debit alice", "3: expected an amount or an action, found nothing"),
        ("credit alice 5 sometimes", "3: expected `priority`, `effective`, `expires`"),
        ("credit alice five", "3: expected an amount, found `five`"),
        ("credit alice 5 expires soon", "3: expected a time"),
        ("credit alice 5 as 5", "3: expected a new name"),
        ("credit alice 5 as g\ncredit alice 5 as g", "4: expected a new name"),
        ("capture h1", "3: expected the name of a hold, found `h1`"),
        ("capture unknown", "3: expected `of` and an account, found nothing"),
        ("hold alice 1 for ever", "3: expected a duration"),
        ("debit alice 1 ->", "3: expected a fact, found nothing"),
        ("debit alice 1 -> 1 off g1", "3: expected `from`, `back to`"),
        (
            "debit alice 1 -> poste 1",
            "3: expected `left`, `scheduled`, `open` or `tokens for` behind `poste 1`, found nothing",
        ),
        ("debit alice 1 -> of", "3: expected a word, found nothing"),
        ("debit alice 1 -> poste", "3: expected a fact (see the module `scenario`), found `poste`"),
        ("debit alice 1 -> posted", "3: expected a number, found nothing"),
        ("debit alice 1 -> posted 1,", "3: expected a fact, found nothing"),
        ("debit alice 1 -> POOR", "3: expected a reason of the contract, found POOR"),
        ("debit alice 1 -> ACCOUNT_FROZEN debt", "3: expected a pair (available=50), found debt"),
        ("at noon", "3: expected a time"),
        ("at +1d -> posted 1", "3: expected the line's end, found an arrow"),
        ("batch sometimes", "3: expected `atomic` or `independent`"),
        ("batch atomic\ndebit alice 1", "4: expected `end` of the batch, found nothing"),
        ("batch atomic\nfreeze alice\nend", "4: expected a command that can be in a batch"),
        (
            "batch atomic\ndebit alice 1 -> posted 1\nend -> ACCOUNT_NOT_FOUND",
            "5: expected no answers in a batch that is refused",
        ),
        ("debit alice 1\ncatalog phoenix", "4: expected the catalog before the first command"),
        ("scenario So is this", "3: expected a command in `It is so`, found its end"),
        ("catalog nowhere", "3: expected the name of a shipped catalog, found `nowhere`"),
        ("catalog\nfunding_order = 1\nend", "5: expected a catalog, found "),
    ] {
        let mistake = parse("a.txt", &format!("{BEGIN}{lines}")).expect_err(lines).to_string();
        assert!(mistake.starts_with(&format!("a.txt:{expected}")), "{lines}: {mistake}");
    }
    let early = parse("a.txt", "debit alice 1").expect_err("no scenario").to_string();
    assert!(early.contains("expected `scenario` first"), "{early}");
}

#[tokio::test]
async fn what_is_true_passes() {
    let lines = "credit alice 10 as g1 -> alice +10\ndebit alice 4 -> 4 from g1, posted 6";
    told(lines).await.expect("it is true");
}

/// Ten promotional tokens in g1, six purchased ones in g2.
const BEFORE: &str = "\
credit  alice 10 promotional as g1
credit  alice 10             as g2
debit   alice 4 key d        as d1
reverse d1
reverse g2 4
entitle alice s v2 quota csv_import=1
credit  bob 20
";

#[tokio::test]
async fn what_is_not_true_fails_with_its_line_and_what_is() {
    for (line, actual) in [
        ("debit alice 20", "INSUFFICIENT_BALANCE available=16"),
        ("debit alice 6 -> ACCOUNT_FROZEN", "6 from g1"),
        ("debit alice 20 -> INSUFFICIENT_BALANCE available=15", "available=16"),
        ("debit alice 6 -> posted 11", "posted 10"),
        // All that was taken must be told, in its order, and nothing else.
        ("debit alice 12 -> 10 from g1", "10 from g1, 2 from g2"),
        ("debit alice 12 -> 2 from g2, 10 from g1", "10 from g1, 2 from g2"),
        ("debit alice 6 -> 6 from g1, 1 from g2", "6 from g1"),
        ("debit alice 6 -> nothing", "6 from g1"),
        ("grants alice -> g1 10 left", "g1 10 left, g2 6 left"),
        ("grants alice -> none", "g1 10 left, g2 6 left"),
        ("balance alice -> promotional 10", "purchased 6, promotional 10"),
        ("credit bob 10 -> replayed", "posted 30"),
        ("debit alice 4 key d", "replayed"),
        ("entitle alice s v1 unlimited", "stale"),
        ("debit alice 1 key d", "IDEMPOTENCY_KEY_REUSED fields=amount"),
        ("batch atomic\ndebit alice 1 -> posted 16\nend", "posted 15"),
        ("batch independent\ndebit alice 1\nend -> INVALID_FIELD", ""),
    ] {
        let failure = told(&format!("{BEFORE}{line}")).await.expect_err(line).to_string();
        assert!(failure.contains(actual), "{line}: {failure}");
        assert!(failure.starts_with("a.txt:1") && failure.contains("It is so"), "{failure}");
    }
}
