//! Fields whose meaning the catalog or the ledger's own words give: actions, prices, kinds, money.

use super::{Fields, NAME_CHARS_MAX, NANOS_PER_MICRO, SECOND_MICROS};
use ledger::{AMOUNT_MAX, CapPeriod, Charge, GrantKind, Money, Tokens};
use proto::{catalog::Currency, v1};

impl Fields<'_> {
    /// How long to hold tokens, in microseconds; unset: as long as the catalog says.
    pub fn hold_micros(
        &mut self,
        field: &str,
        duration: Option<prost_types::Duration>,
    ) -> Option<i64> {
        let holds = self.catalog.holds;
        let Some(duration) = duration else {
            return Some(holds.default_minutes * 60 * SECOND_MICROS);
        };
        let max_micros = holds.max_hours * 3_600 * SECOND_MICROS;
        let micros = duration
            .seconds
            .checked_mul(SECOND_MICROS)
            .and_then(|whole| whole.checked_add(i64::from(duration.nanos / NANOS_PER_MICRO)));
        let micros = micros.filter(|micros| (1..=max_micros).contains(micros));
        let most = format!("give more than 0 s and at most {} s", holds.max_hours * 3_600);
        micros.or_else(|| self.fail(field, most))
    }

    /// What to charge: tokens, or an action at the catalog's price.
    pub fn charge(&mut self, amount: Tokens, action: &str, quantity: i64) -> Option<Charge> {
        match (amount, action) {
            (0, "") => self.fail("amount", "give an amount or an action"),
            (0, action) => self.priced(action, quantity),
            (amount, "") => {
                let alone = "leave it out, or give an action instead of an amount";
                self.check(quantity == 0, "quantity", alone);
                self.amount("amount", amount).map(Charge::Tokens)
            }
            (_, _) => self.fail("amount", "give an amount or an action, not both"),
        }
    }

    /// An action at the catalog's price; a quantity of 0 is one.
    pub fn priced(&mut self, action: &str, quantity: i64) -> Option<Charge> {
        let quantity = if quantity == 0 { 1 } else { quantity };
        let action = self.visible("action", action, 1, NAME_CHARS_MAX);
        let quantity = self.within_range("quantity", quantity, 1, AMOUNT_MAX);
        let (action, quantity) = (action?, quantity?);
        let Some(known) = self.catalog.action(&action) else {
            self.unknown_action.get_or_insert(action);
            return None;
        };
        let unit = known.tokens;
        if unit.checked_mul(quantity).is_none_or(|price| price > AMOUNT_MAX) {
            let most = AMOUNT_MAX / unit.max(1);
            return self.fail("quantity", format!("give at most {most}: one costs {unit} tokens"));
        }
        Some(Charge::Action { action, quantity, unit })
    }

    /// Actions of the catalog.
    pub fn actions(&mut self, field: &str, actions: &[String], max: usize) -> Option<Vec<String>> {
        self.check(actions.len() <= max, field, &format!("give at most {max} actions"))?;
        let unknown = actions.iter().find(|action| self.catalog.action(action).is_none());
        match unknown {
            None => Some(actions.to_vec()),
            Some(action) => {
                let action: String = action.chars().take(NAME_CHARS_MAX).collect();
                let unknown = format!("the catalog has no action {}", action.escape_default());
                self.fail(field, unknown)
            }
        }
    }

    /// Where tokens come from.
    pub fn grant_kind(&mut self, field: &str, kind: i32) -> Option<GrantKind> {
        match v1::GrantKind::try_from(kind) {
            Ok(v1::GrantKind::Purchased) => Some(GrantKind::Purchased),
            Ok(v1::GrantKind::Promotional) => Some(GrantKind::Promotional),
            Ok(v1::GrantKind::Trial) => Some(GrantKind::Trial),
            Ok(v1::GrantKind::Allowance) => Some(GrantKind::Allowance),
            Ok(v1::GrantKind::Earned) => Some(GrantKind::Earned),
            Ok(v1::GrantKind::Adjustment) => Some(GrantKind::Adjustment),
            Ok(v1::GrantKind::Unspecified) | Err(_) => {
                let kinds = GrantKind::ALL.map(GrantKind::as_str);
                self.fail(field, format!("give one of {}", kinds.join(", ")))
            }
        }
    }

    /// A period that spending is limited in.
    pub fn cap_period(&mut self, field: &str, period: i32) -> Option<CapPeriod> {
        match v1::CapPeriod::try_from(period) {
            Ok(v1::CapPeriod::Day) => Some(CapPeriod::Day),
            Ok(v1::CapPeriod::Month) => Some(CapPeriod::Month),
            Ok(v1::CapPeriod::Unspecified) | Err(_) => self.fail(field, "give day or month"),
        }
    }

    /// What was paid.
    pub fn money(&mut self, field: &str, money: &v1::Money) -> Option<Money> {
        let amount = format!("{field}.amount_minor");
        let amount_minor = self.within_range(&amount, money.amount_minor, 0, i64::MAX);
        let currency = Currency::from_code(&money.currency);
        let currency = currency.or_else(|| {
            let field = format!("{field}.currency");
            self.fail(&field, "give an ISO 4217 code in lower case, e.g. usd")
        });
        Some(Money { amount_minor: amount_minor?, currency: currency?.code().to_owned() })
    }
}
