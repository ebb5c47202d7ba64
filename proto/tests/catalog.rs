//! The catalog as its users meet it: the shipped files, every mistake with its line, the digest.

use proto::catalog::{
    Benefit, Catalog, Currency, FundingStep, GrantKind, Interval, Label, LoadError, PriceError,
    Rollover,
};

use proto::v1::TransactionType;

const SHIPPED: [&str; 4] = ["phoenix", "landscape", "domains", "vantage"];

/// The least that a catalog can be.
const LEAST: &str = r#"economy = "least"
title = "Least"
currency = "usd"
"#;

fn shipped(name: &str) -> Catalog {
    Catalog::load(name).unwrap_or_else(|error| panic!("{error}"))
}

fn parse(text: &str) -> Catalog {
    Catalog::parse("test.toml", text).unwrap_or_else(|error| panic!("{error}\nin:\n{text}"))
}

// The shipped catalogs.

#[test]
fn every_shipped_catalog_is_called_what_its_file_is() {
    for name in SHIPPED {
        assert_eq!(shipped(name).economy, name);
    }
    assert_eq!(Catalog::shipped("phenix"), None);
}

/// The facts of each economy: (package, tokens, price in cents, bonus %, savings %, badge).
type Offer<'a> = (&'a str, i64, i64, Option<i64>, Option<i64>, Option<&'a str>);

#[test]
fn the_shipped_packages_are_those_of_the_four_economies() {
    let offers: [(&str, &[Offer<'_>]); 4] = [
        (
            "phoenix",
            &[
                ("starter", 50, 499, None, None, None),
                ("popular", 110, 999, Some(10), None, None),
                ("pro", 250, 1999, Some(25), None, None),
                ("creator", 700, 4999, Some(40), None, Some("Best Value")),
            ],
        ),
        (
            "landscape",
            &[
                ("package_50", 50, 4900, None, None, None),
                ("package_100", 100, 8900, None, None, Some("Most Popular")),
                ("package_250", 250, 19900, None, None, None),
                ("package_500", 500, 34900, None, None, Some("Best Value")),
            ],
        ),
        (
            "domains",
            &[
                ("starter", 100, 1000, None, None, None),
                ("pro", 500, 4000, None, Some(20), Some("Popular")),
                ("premium", 1000, 7000, None, Some(30), None),
            ],
        ),
        (
            "vantage",
            &[
                ("starter", 10, 999, None, None, None),
                ("professional", 50, 3999, None, None, None),
                ("enterprise", 150, 9999, None, None, None),
            ],
        ),
    ];
    for (name, offers) in offers {
        let catalog = shipped(name);
        let packages: Vec<Offer<'_>> = catalog
            .packages
            .iter()
            .map(|p| {
                let badge = p.badge.as_deref();
                (p.id.as_str(), p.tokens, p.price_minor, p.bonus_percent, p.savings_percent, badge)
            })
            .collect();
        assert_eq!(packages, offers, "{name}");
        assert_eq!(catalog.currency.code(), "usd");
    }
}

#[test]
fn phoenix_sells_images_and_passes_tips_on_without_a_fee() {
    let phoenix = shipped("phoenix");
    assert_eq!(phoenix.price("generate_image", 3), Ok(3));
    assert!(phoenix.transfers.enabled);
    assert_eq!(phoenix.transfers.fee_basis_points, 0);
    assert!(phoenix.earnings.withdrawals_enabled);
    assert_eq!((phoenix.limits.purchases_per_hour, phoenix.limits.purchases_per_day), (5, 20));
    let labels = [
        (Label::CreditPurchased, "purchase"),
        (Label::Debit, "generation_spend"),
        (Label::TransferSent, "tip_sent"),
        (Label::TransferReceived, "tip_received"),
    ];
    for (label, text) in labels {
        assert_eq!(phoenix.label(label), Some(text));
    }
}

#[test]
fn landscape_lets_a_subscription_pay_then_the_trial_then_tokens() {
    let landscape = shipped("landscape");
    let trial = FundingStep::Kind(GrantKind::Trial);
    assert_eq!(landscape.funding_order, [FundingStep::Entitlement, trial, FundingStep::Tokens]);
    assert!(!landscape.kinds(FundingStep::Tokens).contains(&GrantKind::Trial));
    assert_eq!(landscape.trial.map(|trial| trial.tokens), Some(3));
    let unlimited = Benefit::Unlimited { actions: None };
    assert!(landscape.plans.iter().any(|plan| plan.benefit == unlimited));
    let reload = landscape.auto_reload;
    assert_eq!((reload.threshold_min, reload.threshold_max, reload.amount_min), (1, 100, 10));
    assert!(reload.enabled && landscape.custom_amount.is_some());
    let labels = [
        (Label::CreditPurchased, "purchase"),
        (Label::CreditAutoReload, "auto_reload"),
        (Label::Debit, "deduction"),
        (Label::Reversal, "refund"),
    ];
    for (label, text) in labels {
        assert_eq!(landscape.label(label), Some(text));
    }
}

#[test]
fn domains_prices_its_actions_and_spends_tokens_before_the_plan() {
    let domains = shipped("domains");
    assert_eq!(domains.funding_order, [FundingStep::Tokens, FundingStep::Entitlement]);
    let prices = [("import_domain", 1), ("ai_analysis", 5), ("csv_import", 2), ("data_export", 10)];
    for (action, tokens) in prices {
        assert_eq!(domains.price(action, 1), Ok(tokens));
    }
    let quota = |units| Benefit::Quotas([("import_domain".to_owned(), units)].into());
    let unlimited = Benefit::Unlimited { actions: Some(["import_domain".to_owned()].into()) };
    let plans = [("free", 0, quota(10)), ("pro", 500, quota(50)), ("premium", 1000, unlimited)];
    for (id, price_minor, benefit) in plans {
        let plan = domains.plan(id).expect(id);
        assert_eq!((plan.price_minor, plan.interval), (price_minor, Interval::Month));
        assert_eq!(plan.benefit, benefit);
    }
}

#[test]
fn vantage_sells_tokens_by_the_month_and_in_any_number() {
    let vantage = shipped("vantage");
    for (id, price_minor, tokens) in [("monthly_basic", 1999, 25), ("monthly_pro", 5999, 100)] {
        let plan = vantage.plan(id).expect(id);
        assert_eq!(plan.price_minor, price_minor);
        assert_eq!(plan.benefit, Benefit::Tokens { tokens, rollover: Rollover::None });
    }
    let custom = vantage.custom_amount.expect("any amount can be bought");
    assert_eq!(custom.price_minor(37), Some(3700));
    assert_eq!(custom.price_minor(0), None);
    assert_eq!(custom.price_minor(10_001), None);
}

// What a silent file means, and what can be asked of a catalog.

#[test]
fn a_file_that_says_nothing_has_the_documented_defaults() {
    let least = parse(LEAST);
    assert_eq!(least.funding_order, [FundingStep::Entitlement, FundingStep::Tokens]);
    let burn_order = ["priority", "expiry", "unpaid_first", "oldest"];
    assert_eq!(least.burn_order.iter().map(|c| c.as_str()).collect::<Vec<_>>(), burn_order);
    assert!(!least.transfers.enabled && !least.auto_reload.enabled);
    assert_eq!(least.transfers.kinds, [GrantKind::Purchased, GrantKind::Earned].into());
    assert_eq!((least.earnings.maturity_days, least.earnings.withdrawals_enabled), (14, false));
    assert_eq!((least.holds.default_minutes, least.holds.max_hours), (15, 168));
    assert_eq!((least.limits.purchases_per_hour, least.limits.purchases_per_day), (5, 20));
    assert_eq!(least.trial, None);
    assert_eq!(parse(&format!("{LEAST}[trial]")).trial.map(|trial| trial.tokens), Some(3));
}

#[test]
fn the_step_tokens_stands_for_every_kind_that_is_no_step_itself() {
    let order = r#"funding_order = ["trial", "tokens", "earned"]"#;
    let catalog = parse(&format!("{LEAST}{order}"));
    use GrantKind::{Adjustment, Allowance, Earned, Promotional, Purchased};
    let rest = [Purchased, Promotional, Allowance, Adjustment];
    assert_eq!(catalog.kinds(FundingStep::Tokens), rest);
    assert_eq!(catalog.kinds(FundingStep::Kind(Earned)), [Earned]);
    assert_eq!(catalog.kinds(FundingStep::Entitlement), []);
}

#[test]
fn a_rollover_is_none_all_or_up_to_a_cap() {
    for (word, expected) in
        [("'none'", Rollover::None), ("'all'", Rollover::All), ("{ cap = 50 }", Rollover::Cap(50))]
    {
        let plan = "[[plans]]\nid='p'\nname='P'\nprice_minor=1\ninterval='year'\ntokens=10";
        let catalog = parse(&format!("{LEAST}{plan}\nrollover = {word}"));
        let benefit = &catalog.plan("p").expect("the plan").benefit;
        assert_eq!(*benefit, Benefit::Tokens { tokens: 10, rollover: expected });
    }
}

#[test]
fn a_transaction_without_a_label_of_its_own_goes_by_the_wider_one() {
    let catalog = parse(&format!("{LEAST}[labels]\ncredit = 'In'\ncredit_purchased = 'Bought'"));
    assert_eq!(catalog.label(Label::CreditAutoReload), Some("Bought"));
    assert_eq!(catalog.label(Label::CreditTrial), Some("In"));
    assert_eq!(catalog.label(Label::Debit), None);
}

#[test]
fn every_type_of_transaction_and_kind_of_grant_of_the_contract_has_its_word() {
    let labels: Vec<&str> = Label::WORDS.iter().map(|(word, _)| *word).collect();
    for transaction_type in (1..100).filter_map(|nr| TransactionType::try_from(nr).ok()) {
        let name = transaction_type.as_str_name().to_lowercase();
        let word = name.strip_prefix("transaction_type_").expect("the prefix that buf asks for");
        assert!(labels.contains(&word), "[labels] has no `{word}`");
    }
    let kinds = (1..100).filter_map(|nr| proto::v1::GrantKind::try_from(nr).ok());
    let kinds: Vec<String> = kinds.map(|kind| kind.as_str_name().to_lowercase()).collect();
    let words = GrantKind::WORDS.iter().map(|(word, _)| format!("grant_kind_{word}"));
    assert_eq!(kinds, words.collect::<Vec<_>>());
}

#[test]
fn a_price_is_checked_or_refused() {
    let domains = shipped("domains");
    assert_eq!(domains.price("ai_analysis", 7), Ok(35));
    assert_eq!(domains.price("fly", 1), Err(PriceError::UnknownAction("fly".to_owned())));
    assert_eq!(domains.price("ai_analysis", 0), Err(PriceError::Quantity(0)));
    let overflow = PriceError::Overflow { tokens: 5, quantity: i64::MAX };
    assert_eq!(domains.price("ai_analysis", i64::MAX), Err(overflow));
}

#[test]
fn minor_units_are_counted_as_stripe_counts_them() {
    let digits = |code| Currency::from_code(code).map(Currency::minor_digits);
    for (code, expected) in [("usd", 2), ("jpy", 0), ("kwd", 3), ("isk", 2), ("mga", 0)] {
        assert_eq!(digits(code), Some(expected), "{code}");
    }
    assert_eq!(digits("USD"), None);
    assert_eq!(digits("usd aed"), None);
}

// Mistakes.

#[test]
fn every_mistake_is_told_with_its_line_and_nothing_else_is() {
    let mut surprises = String::new();
    for scenario in include_str!("catalog_mistakes.txt").split("\n--- ").skip(1) {
        let (name, text) = scenario.split_once('\n').expect("a scenario has a name and a text");
        let text = text.replace("@head", LEAST.trim_end());
        let expected: Vec<(usize, &str)> = (1..)
            .zip(text.lines())
            .flat_map(|(nr, line)| line.split("#!").skip(1).map(move |words| (nr, words.trim())))
            .collect();

        let errors = Catalog::parse("told", &text).expect_err(name);
        let told = errors.errors().iter().map(|error| (error.line, error.reason.as_str()));
        let as_expected = |((line, told), expected): ((usize, &str), &(usize, &str))| {
            line == expected.0 && told.contains(expected.1)
        };
        if told.len() != expected.len() || !told.zip(&expected).all(as_expected) {
            surprises += &format!("--- {name}\n{errors}\nexpected {expected:#?}\n");
        }
    }
    assert!(surprises.is_empty(), "{surprises}");
}

#[test]
fn a_message_names_file_line_and_column_and_what_to_do() {
    let text =
        format!("{LEAST}funding_order = [\"tokens\", \"trail\"]\n[holds]\nmax_hours = 169\n");
    let errors = Catalog::parse("catalogs/x.toml", &text).expect_err("two mistakes");
    assert_eq!(
        errors.to_string(),
        "catalogs/x.toml:4:28: an item of funding_order cannot be `trail`; did you mean `trial`?\n\
         catalogs/x.toml:6:13: [holds]: max_hours must be at most 168, not 169"
    );
}

#[test]
fn a_catalog_is_loaded_by_name_or_by_path() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../catalogs/vantage.toml");
    assert_eq!(Catalog::load(path).expect("the file is there"), shipped("vantage"));
    let error = Catalog::load("phenix").expect_err("there is no such file");
    assert!(matches!(error, LoadError::Unreadable { .. }));
    assert!(error.to_string().contains("phoenix, landscape, domains, vantage"), "{error}");
}

#[test]
fn a_half_written_file_never_panics() {
    for text in SHIPPED.iter().filter_map(|name| Catalog::shipped(name)) {
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            if let Err(errors) = Catalog::parse("half", &text[..end]) {
                assert!(!errors.errors().is_empty());
            }
        }
    }
}

// The digest.

const ECONOMY: &str = r#"
economy = "e"
title = "E"
currency = "usd"
[[packages]]
id = "starter"
name = "Starter"
tokens = 50
price_minor = 499
[[actions]]
id = "draw"
label = "Drawing"
tokens = 1
[holds]
max_hours = 24
[labels]
credit = "Bought"
reversal = "Given back"
"#;

#[test]
fn comments_blanks_spelling_and_the_order_of_keys_do_not_change_the_digest() {
    let same = r#"
# The same economy, written by someone else.
burn_order = ["priority", "expiry", "unpaid_first", "oldest"]
currency   = 'usd'
title      = "\u0045"
economy    = "e"
labels     = { reversal = "Given back", credit = "Bought" }
actions    = [{ tokens = 1, label = "Drawing", id = "draw" }]

[holds]
default_minutes = 15
max_hours = 0x18

[[packages]]
price_minor = 4_99
tokens = 50
name = "Starter"
id = "starter"
"#;
    assert_eq!(parse(same).digest(), parse(ECONOMY).digest());
}

#[test]
fn every_value_changes_the_digest() {
    let changes = [
        ("\"e\"", "\"f\""),
        ("title = \"E\"", "title = \"F\""),
        ("usd", "eur"),
        ("[[packages]]", "burn_order = [\"oldest\", \"priority\"]\n[[packages]]"),
        ("[[packages]]", "funding_order = [\"tokens\", \"entitlement\"]\n[[packages]]"),
        ("tokens = 50", "tokens = 51"),
        ("499", "498"),
        ("499", "499\nbadge = \"New\""),
        ("499", "499\nstripe_price = \"price_1\""),
        ("Drawing", "Painting"),
        ("max_hours = 24", "max_hours = 25"),
        ("max_hours = 24", "max_hours = 24\ndefault_minutes = 14"),
        ("Bought", "Paid"),
        ("reversal", "release"),
        ("[labels]", "[trial]\n[labels]"),
        ("[labels]", "[limits]\npurchases_per_day = 21\n[labels]"),
        ("[labels]", "[transfers]\nenabled = true\n[labels]"),
        ("[labels]", "[texts]\nout_of_tokens = \"No more\"\n[labels]"),
    ];
    let mut digests = vec![parse(ECONOMY).digest()];
    for (from, to) in changes {
        let digest = parse(&ECONOMY.replacen(from, to, 1)).digest();
        assert!(!digests.contains(&digest), "{from} -> {to}");
        digests.push(digest);
    }
}

/// Purchases remember digests. A release that changes this one makes both services disagree until
/// both run it, so it must say so in the changelog.
#[test]
fn the_canonical_form_is_still_the_one_that_was_released() {
    assert_eq!(
        parse(LEAST).digest(),
        "ec4c39a6bce1afe2290ca8ae53b3b1d3476276d4e728b72cd9fd0bebcff26dfb"
    );
}
