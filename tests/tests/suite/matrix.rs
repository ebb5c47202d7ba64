//! Every refusal from every command: either a scenario shows it, or `matrix.txt` says why it can't
//! be. A new reason, a new RPC and a new pair all leave a cell empty, and this test red.

use super::scenarios;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::collections::{BTreeMap, BTreeSet};
use tests::scenario::contract;

/// A reason and an RPC.
type Pair = (String, String);

/// The table as it stands in `matrix.txt`.
struct Matrix {
    /// The words that cells may hold, beside `yes`.
    legend: BTreeSet<String>,
    /// RPCs that are no column.
    others: BTreeSet<String>,
    commands: Vec<String>,
    cells: BTreeMap<Pair, String>,
}

impl Matrix {
    /// `word: why`, `no column: RPC …`, the line of commands, then a line a reason.
    fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (notes, mut table): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.contains(':'));
        let mut matrix = Self {
            legend: BTreeSet::new(),
            others: BTreeSet::new(),
            commands: table.remove(0).split_whitespace().map(ToOwned::to_owned).collect(),
            cells: BTreeMap::new(),
        };
        for (word, rest) in notes.iter().filter_map(|note| note.split_once(':')) {
            if word == "no column" {
                matrix.others.extend(rest.split_whitespace().map(ToOwned::to_owned));
            } else if !word.starts_with(' ') {
                matrix.legend.insert(word.to_owned());
            }
        }
        for line in table {
            let mut words = line.split_whitespace();
            let reason = words.next().expect("a line isn't empty");
            let cells: Vec<&str> = words.collect();
            assert_eq!(cells.len(), matrix.commands.len(), "{reason} has a cell for each command");
            for (command, cell) in matrix.commands.iter().zip(cells) {
                let known = cell == "yes" || matrix.legend.contains(cell);
                assert!(known, "{reason} × {command}: {cell} isn't in the legend");
                matrix.cells.insert((reason.to_owned(), command.clone()), cell.to_owned());
            }
        }
        matrix
    }

    fn reasons(&self) -> BTreeSet<String> {
        self.cells.keys().map(|(reason, _)| reason.clone()).collect()
    }

    fn shown(&self) -> BTreeSet<Pair> {
        let shown = self.cells.iter().filter(|(_, cell)| *cell == "yes");
        shown.map(|(pair, _)| pair.clone()).collect()
    }
}

fn matrix() -> Matrix {
    Matrix::read(include_str!("matrix.txt"))
}

/// The contract as the build compiled it.
fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(proto::v1::FILE_DESCRIPTOR_SET).expect("the build wrote it")
}

#[test]
fn every_reason_of_the_contract_is_a_row() {
    let files = descriptors().file;
    let enums = files.iter().flat_map(|file| &file.enum_type);
    let reasons = enums.filter(|it| it.name() == "ErrorReason").flat_map(|it| &it.value);
    let reasons = reasons.filter_map(|it| it.name().strip_prefix("ERROR_REASON_"));
    let reasons: BTreeSet<String> =
        reasons.filter(|it| *it != "UNSPECIFIED").map(ToOwned::to_owned).collect();
    assert_eq!(matrix().reasons(), reasons);
    let documented: BTreeSet<String> = contract().iter().map(|it| it.reason.clone()).collect();
    assert_eq!(documented, reasons, "each has a comment with its code");
}

#[test]
fn every_rpc_of_the_contract_is_a_column_or_known_not_to_be() {
    let files = descriptors().file;
    let services = files.iter().flat_map(|file| &file.service);
    let rpcs: BTreeSet<String> =
        services.flat_map(|it| &it.method).map(|it| it.name().to_owned()).collect();
    let matrix = matrix();
    let known = matrix.commands.iter().chain(&matrix.others).cloned();
    assert_eq!(known.collect::<BTreeSet<_>>(), rpcs);
    assert!(matrix.commands.iter().all(|it| !matrix.others.contains(it)), "none is both");
}

#[test]
fn every_word_of_the_legend_is_used() {
    let matrix = matrix();
    let used: BTreeSet<String> = matrix.cells.values().cloned().collect();
    let unused: Vec<_> = matrix.legend.difference(&used).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[tokio::test]
async fn every_refusal_is_shown_by_a_scenario_or_known_to_be_impossible() {
    let matrix = matrix();
    let mut seen = BTreeSet::new();
    for file in scenarios::FILES {
        let observed = scenarios::on_core(file).await.into_iter();
        seen.extend(observed.map(|it| (it.reason, it.rpc.to_owned())));
    }
    // Reads and quotes are refused too, but they are no commands.
    seen.retain(|(_, rpc)| matrix.commands.contains(rpc));
    let shown = matrix.shown();
    let told = |pairs: Vec<&Pair>| {
        pairs.iter().map(|(reason, rpc)| format!("  {reason} × {rpc}\n")).collect::<String>()
    };
    let missing = told(shown.difference(&seen).collect());
    let surprising = told(seen.difference(&shown).collect());
    assert!(missing.is_empty(), "no scenario shows these, which should be possible:\n{missing}");
    assert!(surprising.is_empty(), "a scenario shows these, which shouldn't be:\n{surprising}");
}
