//! Pages of a list. A page token says where the page before ended, never how many rows to skip: rows
//! that come and go in between are neither told twice nor left out. It belongs to its filters.

use super::convert::Fields;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use prost::Message;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

/// Rows of a page when the caller doesn't say.
const ROWS_DEFAULT: i32 = 50;
/// The most rows of a page.
const ROWS_MAX: i32 = 1_000;
/// A page ends when its rows are so many bytes: callers take 4 MiB, and we send less by default.
const ROW_BYTES_MAX: usize = 512 * 1024;
/// The longest page token that is looked at; ours are far shorter.
const TOKEN_BYTES_MAX: usize = 2_048;
/// Changes when the tokens of the version before must no longer be read.
const VERSION: u8 = 1;

/// One page of a list whose rows stand at places of type `P`.
#[derive(Debug)]
pub struct Page<P> {
    /// How many rows at most.
    pub rows_max: usize,
    /// Where the page before ended; `None`: this is the first.
    pub after: Option<P>,
    filters: String,
}

/// What a page token is, as JSON in base64url.
#[derive(Serialize, Deserialize)]
struct Token<P> {
    version: u8,
    filters: String,
    after: P,
}

impl<P: Serialize + DeserializeOwned> Page<P> {
    /// Reads `page_size` and `page_token` of a request to `method`; `filters` is the request without
    /// these two.
    pub fn read(
        fields: &mut Fields<'_>,
        method: &str,
        (page_size, page_token): (i32, &str),
        filters: &impl Message,
    ) -> Option<Self> {
        let rows_max = match page_size {
            0 => Some(ROWS_DEFAULT),
            1.. => Some(page_size.min(ROWS_MAX)),
            _ => fields.fail("page_size", "give a number of 0 or more"),
        };
        let filters = digest(method, filters);
        let after = match page_token {
            "" => Some(None),
            token => match parse::<P>(token) {
                Some(token) if token.filters == filters => Some(Some(token.after)),
                Some(_) => fields.fail("page_token", "give it with the filters that it came with"),
                None => fields.fail("page_token", "give a next_page_token as it was returned"),
            },
        };
        let rows_max = usize::try_from(rows_max?).expect("a number above 0");
        Some(Self { rows_max, after: after?, filters })
    }

    /// The rows of this page and the next one's token. One row more than fits says that there is a
    /// next one.
    pub fn cut<T: Message>(self, mut rows: Vec<(P, T)>) -> (Vec<T>, String) {
        let before = rows.len();
        rows.truncate(self.rows_max);
        let mut bytes = 0;
        let within = |(_, row): &(P, T)| {
            bytes += row.encoded_len();
            bytes <= ROW_BYTES_MAX
        };
        let fitting = rows.iter().map(within).take_while(|fits| *fits).count();
        // A page of no rows would never end.
        rows.truncate(fitting.max(1));
        let more = rows.len() < before;
        let (mut places, rows): (Vec<P>, Vec<T>) = rows.into_iter().unzip();
        let token = places.pop().filter(|_| more).map(|after| {
            let token = Token { version: VERSION, filters: self.filters, after };
            BASE64.encode(serde_json::to_vec(&token).expect("a place is plain data"))
        });
        (rows, token.unwrap_or_default())
    }
}

fn digest(method: &str, filters: &impl Message) -> String {
    let digest = Sha256::new_with_prefix(method).chain_update(filters.encode_to_vec()).finalize();
    BASE64.encode(digest.iter().copied().take(9).collect::<Vec<_>>())
}

fn parse<P: DeserializeOwned>(token: &str) -> Option<Token<P>> {
    let short = Some(token).filter(|token| token.len() <= TOKEN_BYTES_MAX)?;
    let token: Token<P> = serde_json::from_slice(&BASE64.decode(short).ok()?).ok()?;
    Some(token).filter(|token| token.version == VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{grpc::convert::Terms, identity::Caller};
    use proto::{catalog::Catalog, v1::ListHoldsRequest};

    fn read(page: (i32, &str), account: &str) -> Result<Page<i64>, String> {
        let catalog = Catalog::load("phoenix").expect("shipped");
        let filters =
            ListHoldsRequest { account_id: account.into(), ..ListHoldsRequest::default() };
        let terms = Terms { catalog: &catalog, caller: &Caller::anonymous() };
        let page = Fields::read(terms, |fields| Page::read(fields, "ListHolds", page, &filters));
        page.map_err(|error| error.message)
    }

    #[test]
    fn a_list_is_read_page_by_page_to_its_end() {
        let all: Vec<(i64, i64)> = (1..=5).map(|row| (row, row)).collect();
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let page = read((2, &token), "alice").expect("our own token");
            let after = page.after.unwrap_or(0);
            let rows = all.iter().filter(|(place, _)| *place > after).take(3).copied().collect();
            let (rows, next) = page.cut(rows);
            seen.push(rows);
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, [vec![1, 2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn a_token_is_refused_with_other_filters_or_when_it_is_none() {
        let (_, token) = read((1, ""), "alice").expect("a page").cut(vec![(1, ()), (2, ())]);
        assert!(read((1, &token), "alice").is_ok());
        for (page, account, expected) in [
            ((1, &*token), "bob", "page_token: give it with the filters"),
            ((1, "x"), "alice", "page_token: give a next_page_token"),
            ((-1, ""), "alice", "page_size: "),
        ] {
            let message = read(page, account).expect_err(expected);
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_page_of_large_rows_ends_early_but_never_empty() {
        let large = "x".repeat(ROW_BYTES_MAX / 2);
        let rows = vec![(1, large.clone()), (2, large.clone()), (3, large)];
        let (rows, token) = read((3, ""), "alice").expect("a page").cut(rows);
        assert_eq!((rows.len(), token.is_empty()), (1, false));
        let rows = vec![(1, "x".repeat(2 * ROW_BYTES_MAX))];
        let (rows, token) = read((3, ""), "alice").expect("a page").cut(rows);
        assert_eq!((rows.len(), token.is_empty()), (1, true));
    }

    #[test]
    fn a_page_has_50_rows_unless_told_and_1000_at_most() {
        for (size, rows) in [(0, 50), (1, 1), (1_000, 1_000), (i32::MAX, 1_000)] {
            assert_eq!(read((size, ""), "alice").expect("a page").rows_max, rows);
        }
    }
}
