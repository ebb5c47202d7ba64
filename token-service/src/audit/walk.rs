//! The walk through the ledger, account by account: all of an account's rows, from every table, meet
//! here.

use super::{
    Keys, Scope, Teller,
    commits::Commits,
    cursor::{Cursor, Gone, Reading},
};
use crate::{
    checkpoint::{Checkpoint, Totals},
    store::{
        StoreError,
        filed::{
            AccountFile, BelongingFile, ClawbackFile, CommitFile, FiledRow, GrantFile, HoldFile,
            KeyFile, OrphanFile, OthersFile, ReversalFile, Table,
        },
        snapshot::{After, Read, Select},
    },
};
use ledger::{AccountId, Filed, Finding, FindingCode, Policy, Refold, TransactionId};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

/// Why a walk ends before its end.
pub(super) enum Stopped {
    /// There is nothing to read any more, or nobody to tell.
    Gone,
    /// Nobody takes what is found.
    NobodyListens,
}

impl From<Gone> for Stopped {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

type Done = Result<(), Stopped>;

/// A walk, and what it has seen so far.
pub(super) struct Walk {
    reading: Reading,
    tell: Teller,
    keys: Keys,
    policy: Arc<Policy>,
    only: Option<AccountId>,
    checkpoint: Option<Checkpoint>,
    public_key: Option<[u8; 32]>,
    commits: Commits,
    /// What the checkpoint should say.
    totals: Totals,
    /// Names of the keys that entries name.
    used: BTreeSet<String>,
    counts: Counts,
}

/// Rows that were seen: what they point to can then be counted instead of looked for.
#[derive(Default)]
struct Counts {
    /// Entries of their transaction's owner.
    own: i64,
    /// Entries of other accounts.
    foreign: i64,
    /// Entries of other accounts, as the owners' transactions name them.
    listed: i64,
}

/// Every table that has rows of accounts.
struct Cursors {
    entries: Cursor<FiledRow>,
    accounts: Cursor<AccountFile>,
    grants: Cursor<GrantFile>,
    holds: Cursor<HoldFile>,
    reversals: Cursor<ReversalFile>,
    clawbacks: Cursor<ClawbackFile>,
}

impl Cursors {
    fn of(reading: &Reading, only: Option<&AccountId>) -> Result<Self, Gone> {
        Ok(Self {
            entries: reading.cursor(only)?,
            accounts: reading.cursor(only)?,
            grants: reading.cursor(only)?,
            holds: reading.cursor(only)?,
            reversals: reading.cursor(only)?,
            clawbacks: reading.cursor(only)?,
        })
    }

    /// The next account that any table has a row of.
    fn next_account(&mut self) -> Result<Option<AccountId>, Gone> {
        let keys = [
            self.entries.peek()?,
            self.accounts.peek()?,
            self.grants.peek()?,
            self.holds.peek()?,
            self.reversals.peek()?,
            self.clawbacks.peek()?,
        ];
        Ok(keys.into_iter().flatten().map(After::account).min().map(AccountId::new))
    }

    /// How many rows of each table came by.
    fn rows(&self) -> [(&'static str, i64); 6] {
        [
            ("entries", self.entries.rows()),
            ("accounts", self.accounts.rows()),
            ("grants", self.grants.rows()),
            ("holds", self.holds.rows()),
            ("reversals", self.reversals.rows()),
            ("clawbacks", self.clawbacks.rows()),
        ]
    }
}

impl Walk {
    pub(super) fn new(
        reading: Reading,
        tell: Teller,
        keys: Keys,
        policy: Arc<Policy>,
        scope: Scope,
    ) -> Self {
        let Scope { account: only, checkpoint, public_key } = scope;
        Self {
            reading,
            tell,
            keys,
            policy,
            only,
            checkpoint,
            public_key,
            commits: Commits::default(),
            totals: Totals::default(),
            used: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// Walks from the first account to the last.
    pub(super) fn run(mut self) -> Done {
        self.check_signature()?;
        let position = self.read_commits()?;
        let mut cursors = Cursors::of(&self.reading, self.only.as_ref())?;
        while let Some(id) = cursors.next_account()? {
            self.verify(&id, &mut cursors)?;
            self.tell.progress.accounts.fetch_add(1, Ordering::Relaxed);
        }
        self.count_rows(&cursors)?;
        drop(cursors);
        self.count_commits()?;
        self.look_for_entries()?;
        self.compare_keys()?;
        self.compare_checkpoint(position)
    }

    fn found(&self, code: FindingCode, words: impl Into<String>) -> Done {
        self.tell.tell(Finding::new(code, words))
    }

    fn found_of(&self, account: &AccountId, code: FindingCode, words: impl Into<String>) -> Done {
        self.tell.tell(Finding::new(code, words).of(account))
    }

    /// The batches in their order: no position is skipped, every account's entries come in theirs. The
    /// stream's position, which is the last one's.
    fn read_commits(&mut self) -> Result<i64, Stopped> {
        let stream = self.reading.now(|snapshot| Box::pin(snapshot.positions()))?;
        let mut position = 0;
        let mut commits: Cursor<CommitFile> = self.reading.cursor(None)?;
        while let Some(Read { key, row }) = commits.next()? {
            let entries = row.and_then(|row| {
                let entries = serde_json::from_str::<Vec<(String, i64)>>(&row.entries);
                entries.map(|entries| (row.position, entries)).map_err(|why| why.to_string())
            });
            match entries {
                Ok((last, entries)) => {
                    self.read_commit(position, last, &entries)?;
                    position = last;
                }
                Err(why) => {
                    self.found(FindingCode::RowUnreadable, format!("commits, {key:?}: {why}"))?;
                    let After::Number(last) = key else { continue };
                    position = last;
                }
            }
        }
        let counted = self.reading.now(|snapshot| Box::pin(snapshot.count("commits", None)))?;
        if counted != commits.rows() {
            self.found(FindingCode::RowUnreadable, "commits has rows that have no position")?;
        }
        let rows = self.reading.now(|snapshot| Box::pin(snapshot.count("stream", None)))?;
        let positions: Vec<i64> = stream.iter().map(|it| it.position).collect();
        if self.only.is_none() && (rows != 1 || positions != [position]) {
            let words = format!("the last commit is at {position}, the stream at {positions:?}");
            self.found(FindingCode::StreamMismatch, words)?;
        }
        if let (Some(checkpoint), Some(stream)) = (&self.checkpoint, stream.first()) {
            self.totals.epoch_differs = checkpoint.statement.epoch != stream.epoch;
        }
        Ok(stream.iter().map(|it| it.position).min().unwrap_or_default().min(position))
    }

    fn read_commit(&mut self, before: i64, last: i64, entries: &[(String, i64)]) -> Done {
        let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        if self.only.is_none() && last.saturating_sub(count) != before {
            let words = format!(
                "the commit at {last} names {count} entries, and the one before is at {before}"
            );
            self.found(FindingCode::CommitMismatch, words)?;
        }
        let pinned = self.checkpoint.as_ref().map_or(0, |it| it.statement.position);
        for ((account, sequence), at) in entries.iter().zip(last.saturating_sub(count)..) {
            if self.only.as_ref().is_some_and(|only| only.as_str() != account) {
                continue;
            }
            if !self.commits.add(account, *sequence, at < pinned) {
                let words =
                    format!("the commit at {last} names it, which isn't the account's next");
                let finding = Finding::new(FindingCode::CommitMismatch, words);
                self.tell.tell(finding.of(&AccountId::new(account)).at(*sequence))?;
            }
        }
        Ok(())
    }

    /// One account: its entries first, then its rows in every table.
    fn verify(&mut self, id: &AccountId, rows: &mut Cursors) -> Done {
        let mut refold = Refold::new(id.clone());
        let mut proven = true;
        let mut newest = 0;
        while let Some(read) = rows.entries.next_of(id.as_str())? {
            let After::Numbered(_, sequence) = read.key else { continue };
            newest = sequence;
            proven = proven && self.take(&mut refold, sequence, read.row)?;
            self.tell.progress.entries.fetch_add(1, Ordering::Relaxed);
        }
        if self.commits.take(id).newest() != newest {
            let words = format!("its newest entry is {newest}, the commits name another as that");
            self.found_of(id, FindingCode::CommitMismatch, words)?;
        }
        self.hold_against(id, &mut rows.grants, GrantFile::file, |row, grant| {
            proven.then(|| refold.grant_row(row.id(), row.open, &grant))
        })?;
        self.hold_against(id, &mut rows.holds, HoldFile::file, |row, hold| {
            proven.then(|| refold.hold_row(row.id(), &row.state, &hold))
        })?;
        self.hold_against(
            id,
            &mut rows.reversals,
            |_| Ok(()),
            |row, ()| {
                let ReversalFile { reversed, complete, original, .. } = *row;
                proven.then(|| refold.reversal_row(row.id(), reversed, complete, original))
            },
        )?;
        self.hold_against(id, &mut rows.clawbacks, ClawbackFile::file, |row, clawback| {
            proven.then(|| refold.clawback_row(row.id(), &clawback))
        })?;
        let mut account = None;
        while let Some(read) = rows.accounts.next_of(id.as_str())? {
            let filed = read.row.and_then(|row| row.file().map_err(|why| why.to_string()));
            match filed {
                Ok(row) if account.is_none() => account = Some(row),
                Ok(_) => self.found_of(id, FindingCode::AccountMismatch, "it has two rows")?,
                Err(why) => {
                    self.found_of(id, FindingCode::RowUnreadable, why)?;
                    proven = false;
                }
            }
        }
        if proven {
            let row = account.as_ref().map(|(row, due)| (row, *due));
            refold
                .account_row(row, &self.policy)
                .into_iter()
                .try_for_each(|it| self.tell.tell(it))?;
        }
        Ok(())
    }

    /// Takes an account's next entry; whether what comes after it can be proven.
    fn take(
        &mut self,
        refold: &mut Refold,
        sequence: i64,
        row: Result<FiledRow, String>,
    ) -> Result<bool, Stopped> {
        let found = |code, words: String| Finding::new(code, words).of(refold.id()).at(sequence);
        let missing = "it has no transaction; nothing after it can be proven";
        let filed = match row {
            Ok(row) if !row.has_transaction() => {
                Err(found(FindingCode::TransactionMissing, missing.to_owned()))
            }
            Ok(row) => row.file().map_err(|why| found(FindingCode::RowUnreadable, why.to_string())),
            Err(why) => Err(found(FindingCode::RowUnreadable, why)),
        };
        let taken = filed.and_then(|filed| refold.take(&self.keys, &filed).map(|()| filed));
        match taken {
            Ok(filed) => {
                self.count(refold, &filed);
                Ok(true)
            }
            Err(finding) => self.tell.tell(finding).map(|()| false),
        }
    }

    /// What an entry that was proven adds to the sums.
    fn count(&mut self, refold: &Refold, filed: &Filed) {
        let entry = filed.transaction.own();
        if filed.owner.is_none() {
            self.counts.own += 1;
            self.counts.listed += i64::try_from(filed.others.len()).unwrap_or(0);
        } else {
            self.counts.foreign += 1;
        }
        if !self.used.contains(&entry.chain_key) {
            self.used.insert(entry.chain_key.clone());
        }
        if self.checkpoint.is_some() {
            let pinned = self.commits.of(refold.id()).pinned();
            if filed.owner.is_none() && entry.sequence <= pinned {
                self.totals.transactions += 1;
            }
            if entry.sequence == pinned {
                let figures = (entry.balance_after, entry.held_after);
                self.totals.add(refold.id(), entry.sequence, &entry.chain, figures);
            }
        }
    }

    /// Holds an account's rows of one table against its entries.
    fn hold_against<T: Table, F>(
        &self,
        id: &AccountId,
        rows: &mut Cursor<T>,
        file: impl Fn(&T) -> Result<F, StoreError>,
        mut compare: impl FnMut(&T, F) -> Option<Result<(), Finding>>,
    ) -> Done {
        while let Some(Read { key, row }) = rows.next_of(id.as_str())? {
            let filed = row.and_then(|row| {
                let facts = file(&row).map_err(|why| why.to_string())?;
                Ok((row, facts))
            });
            match filed {
                Ok((row, facts)) => {
                    if let Some(Err(finding)) = compare(&row, facts) {
                        self.tell.tell(finding)?;
                    }
                }
                Err(why) => {
                    self.found_of(id, FindingCode::RowUnreadable, format!("{key:?}: {why}"))?;
                }
            }
        }
        Ok(())
    }

    /// A row whose key is missing, or there twice, may be passed by.
    fn count_rows(&self, cursors: &Cursors) -> Done {
        for (table, rows) in cursors.rows() {
            let counted = self.count_of(table)?;
            if counted != rows {
                let words = format!("{table} has {counted} rows, {rows} by the order of its keys");
                self.found(FindingCode::RowUnreadable, words)?;
            }
        }
        Ok(())
    }

    fn count_of(&self, table: &'static str) -> Result<i64, Gone> {
        let only = self.only.as_ref().map(|only| ("account_id", only.as_str().to_owned()));
        self.reading.now(move |snapshot| {
            Box::pin(async move { snapshot.count(table, only.as_ref()).await })
        })
    }

    fn count_commits(&self) -> Done {
        match self.commits.len() {
            0 => Ok(()),
            left => {
                let words = format!("the commits name entries of {left} accounts that have none");
                self.found(FindingCode::CommitMismatch, words)
            }
        }
    }

    /// Every transaction has the entries that it says. If as many are there as should be, all are,
    /// since each was found by its transaction; else they are looked for.
    fn look_for_entries(&self) -> Done {
        if self.only.is_some() || self.count_of("transactions")? != self.counts.own {
            let mut orphans: Cursor<OrphanFile> = self.reading.cursor(self.only.as_ref())?;
            while let Some(Read { key, row }) = orphans.next()? {
                let account = AccountId::new(key.account());
                match row {
                    Ok(row) => {
                        let words = format!("the transaction {} has no entry", row.id());
                        self.found_of(&account, FindingCode::EntryMissing, words)?;
                    }
                    Err(why) => self.found_of(&account, FindingCode::RowUnreadable, why)?,
                }
            }
        }
        if self.only.is_some() || self.counts.listed != self.counts.foreign {
            let mut transactions: Cursor<OthersFile> = self.reading.cursor(self.only.as_ref())?;
            while let Some(Read { key, row }) = transactions.next()? {
                let owner = AccountId::new(key.account());
                let filed = row.and_then(|row| {
                    let others = row.file().map_err(|why| why.to_string())?;
                    Ok((row.id(), others))
                });
                match filed {
                    Ok((id, others)) => self.look_for_others(&owner, id, &others)?,
                    Err(why) => self.found_of(&owner, FindingCode::RowUnreadable, why)?,
                }
            }
        }
        Ok(())
    }

    fn look_for_others(
        &self,
        owner: &AccountId,
        transaction: TransactionId,
        others: &[(String, i64)],
    ) -> Done {
        for (account, sequence) in others {
            let select =
                Select { rows: 1, ..BelongingFile::select(Some(&AccountId::new(account))) };
            let before = After::Numbered(account.clone(), sequence.saturating_sub(1));
            let mut found: Cursor<BelongingFile> = self.reading.cursor_of(select, Some(before))?;
            let there = found.next()?.is_some_and(|read| {
                let here = After::Numbered(account.clone(), *sequence);
                let belongs = |row: BelongingFile| {
                    row.id() == transaction && row.owner_id.as_deref() == Some(owner.as_str())
                };
                read.key == here && read.row.is_ok_and(belongs)
            });
            if !there {
                let words =
                    format!("its transaction {transaction} has no entry {sequence} of {account}");
                self.found_of(owner, FindingCode::EntryMissing, words)?;
            }
        }
        Ok(())
    }

    /// The keys that were given are those that signed, and the table says so.
    fn compare_keys(&self) -> Done {
        let mut kept = BTreeSet::new();
        let mut rows: Cursor<KeyFile> = self.reading.cursor(None)?;
        while let Some(Read { key, row }) = rows.next()? {
            let row = match row {
                Ok(row) => row,
                Err(why) => {
                    self.found(FindingCode::RowUnreadable, format!("chain_keys, {key:?}: {why}"))?;
                    continue;
                }
            };
            let id = &row.key_id;
            match self.keys.get(id) {
                None => {
                    let words =
                        format!("the ledger names the chain key `{id}`, which wasn't given");
                    self.found(FindingCode::ChainKeyUnknown, words)?;
                }
                Some(key) if key.check_code() != row.check_code.as_slice() => {
                    let words = format!("the chain key `{id}` has another secret than is noted");
                    self.found(FindingCode::ChainKeyMismatch, words)?;
                }
                Some(_) => {}
            }
            kept.insert(row.key_id);
        }
        for id in self.used.difference(&kept) {
            let words = format!("the chain key `{id}` has signed, and isn't noted");
            self.found(FindingCode::ChainKeyMismatch, words)?;
        }
        Ok(())
    }

    fn check_signature(&self) -> Done {
        let Some(checkpoint) = &self.checkpoint else { return Ok(()) };
        let signed = checkpoint.check(&self.keys, self.public_key);
        signed.or_else(|why| self.found(FindingCode::CheckpointInvalid, why))
    }

    /// At the checkpoint's position the ledger was the one that it says.
    fn compare_checkpoint(&self, position: i64) -> Done {
        let Some(Checkpoint { statement, .. }) = &self.checkpoint else { return Ok(()) };
        if position < statement.position {
            let words = format!(
                "the checkpoint knows of {} entries, and {position} are there: the database was set back",
                statement.position
            );
            return self.found(FindingCode::CheckpointAhead, words);
        }
        let differing = self.totals.differing(statement);
        if differing.is_empty() {
            return Ok(());
        }
        let epoch = if self.totals.epoch_differs { "; it is of another epoch" } else { "" };
        let words = format!("at the checkpoint's position differ: {}{epoch}", differing.join(", "));
        self.found(FindingCode::CheckpointMismatch, words)
    }
}
