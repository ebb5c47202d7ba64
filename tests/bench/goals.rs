//! What the figures should be, due with PostgreSQL and several replicas, and whether they are.

use crate::report::Report;
use std::collections::HashMap;

/// Something that is measured and has a goal.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Goal {
    Random64PerRequest,
    Random64OneStatement,
    Random256PerRequest,
    Random256OneStatement,
    Hot256PerRequest,
    Hot256OneStatement,
    HotAgainstRandom,
    Eight,
    Lone,
    Batch100,
    Batch1000,
    TransferPgledger,
    Sqlite,
    Identity64,
    Identity256,
    ReadWhileWriting,
    ReadAlone,
    Growth,
    PointInTime,
    HistoryPage,
    Memory,
}

/// A goal's figure and the side on which it is reached.
#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    /// In the order of the table.
    pub const ALL: [Self; 21] = [
        Self::Random64PerRequest,
        Self::Random64OneStatement,
        Self::Random256PerRequest,
        Self::Random256OneStatement,
        Self::Hot256PerRequest,
        Self::Hot256OneStatement,
        Self::HotAgainstRandom,
        Self::Eight,
        Self::Lone,
        Self::Batch100,
        Self::Batch1000,
        Self::TransferPgledger,
        Self::Sqlite,
        Self::Identity64,
        Self::Identity256,
        Self::ReadWhileWriting,
        Self::ReadAlone,
        Self::Growth,
        Self::PointInTime,
        Self::HistoryPage,
        Self::Memory,
    ];

    /// What is measured, in which unit, and the goal.
    fn terms(self) -> (&'static str, &'static str, Bound) {
        use Bound::{AtLeast, AtMost};
        match self {
            Self::Random64PerRequest => {
                ("Debit, random, 64 in flight", "× per-request", AtLeast(4.0))
            }
            Self::Random64OneStatement => ("the same", "× one statement", AtLeast(2.2)),
            Self::Random256PerRequest => {
                ("Debit, random, 256 in flight", "× per-request", AtLeast(5.0))
            }
            Self::Random256OneStatement => ("the same", "× one statement", AtLeast(2.8)),
            Self::Hot256PerRequest => {
                ("Debit, one hot account, 256 in flight", "× per-request", AtLeast(13.0))
            }
            Self::Hot256OneStatement => ("the same", "× one statement", AtLeast(7.0)),
            Self::HotAgainstRandom => ("the same", "× random", AtLeast(1.0)),
            Self::Eight => ("Debit, random, 8 in flight", "× one statement", AtLeast(1.1)),
            Self::Lone => ("Debit, random, 1 in flight: p50", "× per-request", AtMost(1.3)),
            Self::Batch100 => ("Batch of 100", "× raw batches, one connection", AtLeast(0.5)),
            Self::Batch1000 => ("Batch of 1,000", "× raw batches, one connection", AtLeast(0.5)),
            Self::TransferPgledger => ("Transfer, 64 in flight", "× pgledger", AtLeast(4.0)),
            Self::Sqlite => ("SQLite, Debit, random, 256 in flight, 60 s", "/s", AtLeast(15_000.0)),
            Self::Identity64 => ("Debit with a token, 64 in flight", "× without", AtLeast(0.85)),
            Self::Identity256 => ("the same, 256", "× without", AtLeast(0.85)),
            Self::ReadWhileWriting => ("GetBalance while debits run: p99", "ms", AtMost(100.0)),
            Self::ReadAlone => ("GetBalance alone", "/s", AtLeast(30_000.0)),
            Self::Growth => ("Debit, grown against empty", "×", AtLeast(0.8)),
            Self::PointInTime => ("balance at a time, grown: p99", "ms", AtMost(50.0)),
            Self::HistoryPage => ("page of history, grown: p99", "ms", AtMost(50.0)),
            Self::Memory => ("memory of the service", "MiB", AtMost(200.0)),
        }
    }
}

impl Bound {
    fn reached_by(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
        }
    }
}

/// What has been measured so far.
#[derive(Debug, Default)]
pub struct Figures {
    figures: HashMap<Goal, f64>,
}

impl Figures {
    /// Notes a figure.
    pub fn note(&mut self, goal: Goal, figure: f64) {
        self.figures.insert(goal, figure);
    }

    /// Prints the goals that have a figure; the others were measured by another command.
    pub fn print(&self, report: &mut Report) {
        let headings = ["workload", "goal", "figure", "reached"];
        let mut table = report.table("Beside the goals", &headings);
        for (goal, figure) in Goal::ALL.iter().filter_map(|it| Some((it, self.figures.get(it)?))) {
            let (workload, unit, bound) = goal.terms();
            let places = if *figure < 1_000.0 { 2 } else { 0 };
            let reached = if bound.reached_by(*figure) { "yes" } else { "**no**" };
            let bound = bound.words();
            table.row([
                workload.to_owned(),
                format!("{bound} {unit}"),
                format!("{figure:.places$}"),
                reached.to_owned(),
            ]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_reached_on_its_own_side() {
        assert!(Bound::AtLeast(2.0).reached_by(2.0) && !Bound::AtLeast(2.0).reached_by(1.9));
        assert!(Bound::AtMost(2.0).reached_by(2.0) && !Bound::AtMost(2.0).reached_by(2.1));
    }

    #[test]
    fn every_goal_stands_in_the_table_once() {
        let named: std::collections::HashSet<_> = Goal::ALL.into_iter().collect();
        assert_eq!(named.len(), Goal::ALL.len());
    }
}
