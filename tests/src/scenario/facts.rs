//! What a reply says, in the words of a scenario.

use super::{Fact, Group, names::Names, refusal::Said, time};
use crate::target::Reply;
use proto::v1;

/// Everything that a reply says.
///
/// # Errors
/// What a reply must say and doesn't.
pub(super) fn of(reply: &Reply, names: &Names) -> Result<Vec<Fact>, String> {
    let mut facts = Facts { facts: Vec::new(), names };
    match reply {
        Reply::Credit(it) => facts.done(&it.transaction, &it.balance, it.replayed, "")?,
        Reply::Debit(it) => facts.done(&it.transaction, &it.balance, it.replayed, "")?,
        Reply::Reverse(it) => facts.done(&it.transaction, &it.balance, it.replayed, "")?,
        Reply::Transfer(it) => {
            facts.done(&it.transaction, &it.balance, it.replayed, "")?;
            let to = it.to_balance.as_ref().ok_or("no balance of the receiver")?;
            let posted = format!("{} posted", to.account_id);
            facts.add(Fact::figure(&posted, to.posted));
        }
        Reply::CreateHold(it) => {
            facts.done(&it.transaction, &it.balance, it.replayed, "")?;
            facts.hold(it.hold.as_ref().ok_or("no hold")?);
        }
        Reply::CaptureHold(it) => {
            facts.done(&it.transaction, &it.balance, it.replayed, "")?;
            facts.add(Fact::one("given back", format!("{} given back", it.released)));
        }
        Reply::ReleaseHold(it) => {
            facts.done(&it.transaction, &it.balance, it.replayed, "")?;
            facts.add(Fact::one("given back", format!("{} given back", it.released)));
        }
        Reply::SetClawback(it) => {
            let stale = if it.stale { "stale" } else { "" };
            facts.done(&it.transaction, &it.balance, it.replayed, stale)?;
            facts.add(Fact::figure("clawed back", it.clawed_back));
            facts.add(Fact::figure("revision", it.revision));
        }
        Reply::SetEntitlement(it) => {
            let stale = if it.stale { "stale" } else { "" };
            facts.done(&it.transaction, &it.balance, it.replayed, stale)?;
        }
        Reply::Authorize(it) => facts.authorized(it)?,
        Reply::Batch(it) => {
            let all = it.results.iter().all(|result| result.replayed);
            facts.facts.extend(all.then(|| Fact::new(Group::Flag, "replayed".to_owned())));
        }
        Reply::Quote(it) => facts.quote(it)?,
        Reply::GetBalance(it) => facts.holdings(it)?,
        Reply::GetTransaction(it) => {
            facts.transaction(it.transaction.as_ref().ok_or("no transaction")?);
        }
        Reply::ListTransactions(it) => facts.list(it.transactions.iter().map(in_list)),
        Reply::GetUsage(it) => {
            let action = |it: &v1::ActionUsage| {
                let action = if it.action.is_empty() { "amounts" } else { &it.action };
                format!("{action} {} tokens for {}", it.tokens, it.count)
            };
            facts.list(it.actions.iter().map(action));
            facts.add(Fact::one("in all", format!("{} in all", it.tokens)));
        }
        Reply::ListGrants(it) => {
            facts.list(it.grants.iter().map(|grant| facts_of_grant(grant, names)))
        }
        Reply::ListHolds(it) => facts.list(it.holds.iter().map(|hold| facts_of_hold(hold, names))),
        Reply::FreezeAccount(v1::FreezeAccountResponse { account })
        | Reply::UnfreezeAccount(v1::UnfreezeAccountResponse { account })
        | Reply::CloseAccount(v1::CloseAccountResponse { account })
        | Reply::UpdateAccount(v1::UpdateAccountResponse { account })
        | Reply::GetAccount(v1::GetAccountResponse { account }) => {
            facts.account(account.as_ref().ok_or("no account")?)?;
        }
    }
    Ok(facts.facts)
}

/// Everything that a batch's accepted member says.
///
/// # Errors
/// What it must say and doesn't.
pub(super) fn of_member(result: &v1::BatchResult, names: &Names) -> Result<Vec<Fact>, String> {
    let mut facts = Facts { facts: Vec::new(), names };
    facts.done(&result.transaction, &result.balance, result.replayed, "unchanged")?;
    Ok(facts.facts)
}

struct Facts<'n> {
    facts: Vec<Fact>,
    names: &'n Names,
}

impl Facts<'_> {
    fn add(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    /// Rows in their order; those that ended, which come by id, by name and last.
    fn list(&mut self, rows: impl Iterator<Item = String>) {
        let rows: Vec<String> = rows.collect();
        self.facts.extend(rows.is_empty().then(|| Fact::new(Group::List, "none".to_owned())));
        self.facts.extend(rows.into_iter().map(|text| Fact::new(Group::List, text)));
    }

    /// What every command answers; without a transaction it says `unless`.
    fn done(
        &mut self,
        transaction: &Option<v1::Transaction>,
        balance: &Option<v1::Balance>,
        replayed: bool,
        unless: &str,
    ) -> Result<(), String> {
        self.balance(balance)?;
        if replayed {
            self.add(Fact::new(Group::Flag, "replayed".to_owned()));
        }
        match transaction {
            Some(transaction) => self.transaction(transaction),
            None if unless.is_empty() => return Err("no transaction".to_owned()),
            None => self.add(Fact::new(Group::Flag, unless.to_owned())),
        }
        Ok(())
    }

    fn balance(&mut self, balance: &Option<v1::Balance>) -> Result<(), String> {
        let balance = balance.as_ref().ok_or("no balance")?;
        if balance.posted != balance.held + balance.available {
            return Err(format!("posted isn't held + available: {balance:?}"));
        }
        self.add(Fact::figure("posted", balance.posted));
        self.add(Fact::figure("held", balance.held));
        self.add(Fact::figure("available", balance.available));
        self.add(Fact::figure("sequence", balance.sequence));
        Ok(())
    }

    fn transaction(&mut self, it: &v1::Transaction) {
        let draws = it.entries.iter().flat_map(|entry| &entry.draws);
        let restored = it.entries.iter().flat_map(|entry| &entry.restored);
        self.moves(draws, restored, &it.entitlement_source, it.entitled_quantity);
        self.add(Fact::new(Group::List, in_list(it)));
        self.add(Fact::figure("amount", it.amount));
        for entry in &it.entries {
            self.add(Fact::one(
                &entry.account_id,
                format!("{} {:+}", entry.account_id, entry.amount),
            ));
            match entry.split_account.as_str() {
                "sys/fees" => self.add(Fact::figure("fee", entry.split_amount.abs())),
                "sys/expiry" => self.add(Fact::figure("lapsed", entry.split_amount.abs())),
                _ => {}
            }
        }
        if let Some(own) = it.entries.first() {
            self.add(Fact::one("against", format!("against {}", own.counter_account)));
        }
        if !it.action.is_empty() {
            self.add(Fact::one("action", format!("action {}", it.action)));
            self.add(Fact::one("units", format!("{} units", it.quantity)));
        }
        let of = self.names.of_id(&it.related_transaction_id);
        self.facts.extend(of.map(|name| Fact::one("of", format!("of {name}"))));
        for (word, text) in [("note", &it.description), ("ref", &it.reference)] {
            self.facts
                .extend((!text.is_empty()).then(|| Fact::one(word, format!("{word} {text}"))));
        }
        let at = it.create_time.as_ref().map(time::of_wire).map(time::show);
        self.facts.extend(at.map(|at| Fact::one("at", format!("at {at}"))));
    }

    /// Replaces what was said of the moves.
    fn moves<'d>(
        &mut self,
        draws: impl Iterator<Item = &'d v1::Draw>,
        restored: impl Iterator<Item = &'d v1::Draw>,
        source: &str,
        units: i64,
    ) {
        self.facts.retain(|fact| fact.group != Group::Moves);
        let before = self.facts.len();
        for (grant, amount) in self.by_grant(draws) {
            self.add(Fact::moves(format!("{amount} from {grant}")));
        }
        for (grant, amount) in self.by_grant(restored) {
            self.add(Fact::moves(format!("{amount} back to {grant}")));
        }
        if !source.is_empty() {
            self.add(Fact::moves(format!("{units} covered by {source}")));
        }
        if self.facts.len() == before {
            self.add(Fact::moves("nothing".to_owned()));
        }
    }

    /// Draws by their grants' names, in their order; what one grant gave or got is added up.
    fn by_grant<'d>(&self, draws: impl Iterator<Item = &'d v1::Draw>) -> Vec<(String, i64)> {
        let mut found: Vec<(&str, String, i64)> = Vec::new();
        for draw in draws {
            match found.iter_mut().find(|(id, ..)| *id == draw.grant_id) {
                Some((.., amount)) => *amount += draw.amount,
                None => found.push((&draw.grant_id, self.names.of_draw(draw), draw.amount)),
            }
        }
        found.into_iter().map(|(_, name, amount)| (name, amount)).collect()
    }

    fn hold(&mut self, hold: &v1::Hold) {
        let none = std::iter::empty();
        self.moves(hold.draws.iter(), none, &hold.entitlement_source, hold.entitled_quantity);
        let until = hold.expire_time.as_ref().map(time::of_wire).map(time::show);
        self.facts.extend(until.map(|until| Fact::one("until", format!("until {until}"))));
    }

    fn funding(&mut self, funding: &[v1::Funding]) {
        for part in funding {
            let text = match part.entitlement_source.as_str() {
                "" => format!("{} by {}", part.amount, word(part.kind().as_str_name())),
                source => format!("{} by {source}", part.entitled_quantity),
            };
            self.add(Fact::new(Group::Funding, text));
        }
    }

    fn authorized(&mut self, it: &v1::AuthorizeResponse) -> Result<(), String> {
        self.balance(&it.balance)?;
        self.funding(&it.funding);
        self.facts.extend(it.replayed.then(|| Fact::new(Group::Flag, "replayed".to_owned())));
        it.transaction.iter().for_each(|transaction| self.transaction(transaction));
        it.hold.iter().for_each(|hold| self.hold(hold));
        Ok(())
    }

    fn quote(&mut self, it: &v1::QuoteResponse) -> Result<(), String> {
        self.add(Fact::one("in all", format!("{} in all", it.amount)));
        self.funding(&it.funding);
        let affordable = if it.affordable { "affordable" } else { "unaffordable" };
        self.add(Fact::one("affordable", affordable.to_owned()));
        if let Some(refusal) = &it.refusal {
            let said = Said::of_member(refusal, self.names)?;
            self.add(Fact::one("because", format!("because {}", said.reason)));
        }
        Ok(())
    }

    fn holdings(&mut self, it: &v1::GetBalanceResponse) -> Result<(), String> {
        self.balance(&it.balance)?;
        if it.status() != v1::AccountStatus::Unspecified {
            self.add(Fact::one("status", word(it.status().as_str_name())));
        }
        for kind in &it.kinds {
            self.add(Fact::kind(&word(kind.kind().as_str_name()), kind.posted, kind.held));
        }
        self.add(Fact::figure("lifetime purchased", it.lifetime_purchased));
        self.add(Fact::figure("lifetime spent", it.lifetime_spent));
        self.add(Fact::figure("lifetime earned", it.lifetime_earned));
        self.add(Fact::figure("debt", it.debt));
        self.add(Fact::figure("scheduled", it.scheduled));
        let next = it.next_expire_time.as_ref().map(time::of_wire).map(time::show);
        let next = next.map(|at| format!("{} expire {at}", it.next_expire_amount));
        self.add(Fact::one("next expiry", next.unwrap_or_else(|| "never expire".to_owned())));
        let until = it.unlimited_until_time.as_ref().map(time::of_wire).map(time::show);
        let until = until.map(|until| format!("unlimited until {until}"));
        self.add(Fact::one("unlimited", until.unwrap_or_else(|| "not unlimited".to_owned())));
        Ok(())
    }

    fn account(&mut self, it: &v1::Account) -> Result<(), String> {
        self.balance(&it.balance)?;
        self.add(Fact::one("status", word(it.status().as_str_name())));
        self.add(Fact::figure("debt", it.debt));
        self.add(Fact::figure("version", it.version));
        let threshold = it.low_balance_threshold.map(|tokens| format!("threshold {tokens}"));
        let threshold = threshold.unwrap_or_else(|| "no threshold".to_owned());
        self.add(Fact::one("threshold", threshold));
        let mut caps = it.spend_caps.iter().map(|cap| {
            format!("cap {} {} spent {}", word(cap.period().as_str_name()), cap.limit, cap.spent)
        });
        let none = || "no caps".to_owned();
        self.add(Fact::new(Group::Settings("cap"), caps.next().unwrap_or_else(none)));
        self.facts.extend(caps.map(|cap| Fact::new(Group::Settings("cap"), cap)));
        let mut rights =
            it.entitlements.iter().map(|it| format!("right {} v{}", it.source, it.source_version));
        let none = || "no rights".to_owned();
        self.add(Fact::new(Group::Settings("right"), rights.next().unwrap_or_else(none)));
        self.facts.extend(rights.map(|right| Fact::new(Group::Settings("right"), right)));
        let used = it.entitlements.iter().flat_map(|right| {
            let used = right.used_units.iter().filter(|(_, units)| **units != 0);
            used.map(|(action, units)| format!("used {units} {action} under {}", right.source))
        });
        let used: Vec<String> = used.collect();
        let used = if used.is_empty() { vec!["no use".to_owned()] } else { used };
        self.facts.extend(used.into_iter().map(|used| Fact::new(Group::Settings("used"), used)));
        Ok(())
    }
}

fn in_list(it: &v1::Transaction) -> String {
    format!("{} {}", word(it.r#type().as_str_name()), it.amount)
}

fn facts_of_grant(it: &v1::Grant, names: &Names) -> String {
    let name = names.of_id(&it.grant_id).unwrap_or_else(|| word(it.kind().as_str_name()));
    match it.state() {
        v1::GrantState::Scheduled => format!("{name} {} scheduled", it.remaining),
        v1::GrantState::Open => Fact::left(&name, it.remaining, it.held),
        v1::GrantState::Closed => format!("{name} closed"),
        v1::GrantState::Unspecified => format!("{name} in no state"),
    }
}

fn facts_of_hold(it: &v1::Hold, names: &Names) -> String {
    let name = names.of_id(&it.hold_id).unwrap_or_else(|| "hold".to_owned());
    match it.state() {
        v1::HoldState::Open => format!("{name} {} open", it.amount),
        v1::HoldState::Captured => format!("{name} captured {}", it.captured),
        state => format!("{name} {}", word(state.as_str_name())),
    }
}

/// `GRANT_KIND_TRIAL` is `trial`; two words of the prefix, whatever the enum.
fn word(name: &str) -> String {
    let prefixes = [
        "GRANT_KIND_",
        "GRANT_STATE_",
        "HOLD_STATE_",
        "ACCOUNT_STATUS_",
        "CAP_PERIOD_",
        "TRANSACTION_TYPE_",
    ];
    let rest = prefixes.into_iter().find_map(|prefix| name.strip_prefix(prefix));
    rest.unwrap_or(name).to_ascii_lowercase()
}
