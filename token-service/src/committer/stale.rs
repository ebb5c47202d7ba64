//! A planted bug that needs a place to keep something: what was loaded before a commit that failed.

use ledger::{
    Footprint, State,
    planted::{self, Bug},
};

/// What an earlier try of the same batch loaded last; always empty but under the planted bug.
#[derive(Debug, Default)]
pub(super) struct Stale(Option<(Footprint, State)>);

impl Stale {
    /// The mistake: the rows of this footprint as an earlier try found them, not as they are now.
    pub(super) fn instead_of(&mut self, loaded: State, needs: &Footprint) -> State {
        if !planted::is(Bug::StaleState) {
            return loaded;
        }
        if self.0.as_ref().is_none_or(|(kept, _)| kept != needs) {
            self.0 = Some((needs.clone(), loaded.clone()));
        }
        self.0.as_ref().map_or(loaded, |(_, kept)| kept.clone())
    }
}
