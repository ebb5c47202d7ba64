//! Pages of a list. A page token says where the page before ended, never how many rows to skip: rows that come
//! in between are neither told twice nor left out. It belongs to its filters.

use super::fields::Fields;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use prost::Message;
use sha2::{Digest as _, Sha256};

/// Rows of a page when the caller doesn't say, and the most.
const ROWS_DEFAULT: i32 = 50;
const ROWS_MAX: i32 = 1_000;

/// A page ends when its rows are so many bytes: callers take 4 MiB.
const ROW_BYTES_MAX: usize = 1024 * 1024;

/// The longest page token that is looked at; ours are far shorter.
const TOKEN_BYTES_MAX: usize = 512;

/// A row's place in its list: a time, and the row's id.
pub type Place = (i64, String);

/// One page.
#[derive(Debug)]
pub struct Page {
    rows_max: usize,
    after: Option<Place>,
    filters: String,
}

impl Page {
    /// Reads `page_size` and `page_token`; `filters` is the request without these two.
    pub fn read(
        fields: &mut Fields,
        (page_size, page_token): (i32, &str),
        filters: &impl Message,
    ) -> Option<Self> {
        let rows_max = match page_size {
            0 => Some(ROWS_DEFAULT),
            1.. => Some(page_size.min(ROWS_MAX)),
            _ => fields.fail("page_size", "give a number of 0 or more"),
        };
        let digest = Sha256::digest(filters.encode_to_vec());
        let filters = BASE64.encode(digest.iter().copied().take(9).collect::<Vec<_>>());
        let after = match page_token {
            "" => Some(None),
            token => match parse(token) {
                Some((of, place)) if of == filters => Some(Some(place)),
                Some(_) => fields.fail("page_token", "give it with the filters that it came with"),
                None => fields.fail("page_token", "give a next_page_token as it was returned"),
            },
        };
        let rows_max = usize::try_from(rows_max?).ok()?;
        Some(Self { rows_max, after: after?, filters })
    }

    /// The same, of rows that are so large that a page has fewer of them.
    pub fn at_most(self, rows_max: usize) -> Self {
        Self { rows_max: self.rows_max.min(rows_max), ..self }
    }

    /// Where the page before ended.
    pub fn after(&self) -> Option<Place> {
        self.after.clone()
    }

    /// Rows to read: one more than fits says that there is a next page.
    pub fn limit(&self) -> i64 {
        i64::try_from(self.rows_max).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// The rows of this page and the next one's token.
    pub fn cut<T: Message>(self, mut rows: Vec<(Place, T)>) -> (Vec<T>, String) {
        let before = rows.len();
        rows.truncate(self.rows_max);
        let mut bytes = 0;
        let within = |(_, row): &(Place, T)| {
            bytes += row.encoded_len();
            bytes <= ROW_BYTES_MAX
        };
        let fitting = rows.iter().map(within).take_while(|fits| *fits).count();
        // A page of no rows would never end.
        rows.truncate(fitting.max(1));
        let more = rows.len() < before;
        let (mut places, rows): (Vec<Place>, Vec<T>) = rows.into_iter().unzip();
        let token = places
            .pop()
            .filter(|_| more)
            .map(|(time, id)| BASE64.encode(format!("{} {time} {id}", self.filters)));
        (rows, token.unwrap_or_default())
    }
}

/// The filters that a token belongs to, and its place.
fn parse(token: &str) -> Option<(String, Place)> {
    let short = Some(token).filter(|token| token.len() <= TOKEN_BYTES_MAX)?;
    let text = String::from_utf8(BASE64.decode(short).ok()?).ok()?;
    let mut parts = text.split(' ');
    let (filters, time, id) = (parts.next()?, parts.next()?, parts.next()?);
    let is_id = !id.is_empty() && id.bytes().all(|c| c.is_ascii_graphic());
    let place = (time.parse().ok()?, id.to_owned());
    (is_id && parts.next().is_none()).then(|| (filters.to_owned(), place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::payments::v1::{Alert, ListPurchasesRequest};

    fn read(page: (i32, &str), account: &str) -> Result<Page, String> {
        let filters = ListPurchasesRequest { account_id: account.to_owned(), ..Default::default() };
        let page = Fields::read(|fields| Page::read(fields, page, &filters));
        page.map_err(|status| status.message().to_owned())
    }

    fn row(number: i64, bytes: usize) -> (Place, Alert) {
        let (id, detail) = (format!("id{number}"), "x".repeat(bytes));
        ((-number, id), Alert { count: number, detail, ..Alert::default() })
    }

    #[test]
    fn a_list_is_read_page_by_page_to_its_end() {
        let all: Vec<_> = (1..=5).map(|number| row(number, 0)).collect();
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let page = read((2, &token), "ann").unwrap();
            let after = page.after();
            let is_next = |place: &Place| {
                after
                    .as_ref()
                    .is_none_or(|(time, id)| place.0 < *time || (place.0 == *time && place.1 < *id))
            };
            let rows = all.iter().filter(|(place, _)| is_next(place)).take(3).cloned().collect();
            let (rows, next) = page.cut(rows);
            seen.push(rows.iter().map(|row| row.count).collect::<Vec<_>>());
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, [vec![1, 2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn a_token_is_refused_with_other_filters_or_when_it_is_none() {
        let page = read((1, ""), "ann").unwrap();
        assert_eq!(page.limit(), 2);
        let (_, token) = page.cut(vec![row(1, 0), row(2, 0)]);
        assert!(read((1, &token), "ann").is_ok());
        let none = BASE64.encode("x 1 ");
        for (page, account, expected) in [
            ((1, &*token), "bob", "page_token: give it with the filters"),
            ((1, "x"), "ann", "page_token: give a next_page_token"),
            ((1, &*none), "ann", "page_token: give a next_page_token"),
            ((-1, ""), "ann", "page_size: "),
        ] {
            let message = read(page, account).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_page_has_50_rows_unless_told_1000_at_most_and_of_large_ones_fewer_but_never_none() {
        for (size, rows) in [(0, 50), (1, 1), (1_000, 1_000), (i32::MAX, 1_000)] {
            assert_eq!(read((size, ""), "ann").unwrap().rows_max, rows);
        }
        assert_eq!(read((1_000, ""), "ann").unwrap().at_most(100).limit(), 101);
        for (bytes, expected) in [(ROW_BYTES_MAX / 2 + 1, 1), (2 * ROW_BYTES_MAX, 1), (9, 2)] {
            let page = read((9, ""), "ann").unwrap();
            let (rows, token) = page.cut(vec![row(1, bytes), row(2, bytes)]);
            assert_eq!((rows.len(), token.is_empty()), (expected, expected == 2), "{bytes}");
        }
    }
}
