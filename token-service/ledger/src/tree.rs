//! One root over every account's newest entry: a Merkle tree as in RFC 6962, section 2.1.
//!
//! `leaf = SHA-256(0x00, fields)` with the account's id, the number of its newest entry and that
//! entry's chain code as netstrings, as [`crate::ChainKey::link`] writes them; `node = SHA-256(0x01,
//! left, right)`; the left one of two subtrees has the largest power of two of leaves that leaves some
//! for the right one. The leaves are in the order of the accounts' ids, byte by byte.

use crate::{chain::Fields, id::AccountId};
use sha2::{Digest as _, Sha256};

/// A tree that grows leaf by leaf.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Roots of whole subtrees, the largest first: at the height of each.
    subtrees: Vec<(u32, [u8; 32])>,
}

impl Tree {
    /// Takes the next account's newest entry.
    pub fn add(&mut self, account: &AccountId, sequence: i64, chain: &[u8; 32]) {
        let mut fields = Fields(vec![0]);
        fields.text(account.as_str());
        fields.number(sequence);
        fields.hex(chain);
        let (mut height, mut hash) = (0_u32, Sha256::digest(&fields.0).into());
        while let Some((_, left)) = self.subtrees.pop_if(|(of, _)| *of == height) {
            hash = node(&left, &hash);
            height = height.saturating_add(1);
        }
        self.subtrees.push((height, hash));
    }

    /// The root over what was taken so far.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let roots = self.subtrees.iter().rev().map(|(_, hash)| *hash);
        let root = roots.reduce(|right, left| node(&left, &right));
        root.unwrap_or_else(|| Sha256::digest([]).into())
    }
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}
