//! Pages of a listing: their size, where the next one begins, and how many bytes one may have.

use std::str::FromStr;

use super::error::ApiError;

/// Items on a page when nothing is said.
const DEFAULT_SIZE: u32 = 100;
/// The most items on a page.
pub(super) const MAX_SIZE: u32 = 1_000;

/// Bytes of one answer. Clients take 4 MiB unless told otherwise; what is over that goes on the next page.
pub(super) const MAX_BYTES: usize = 3 << 20;

/// Marks the form of the token, so that a later one can be told apart.
const FORM: &str = "1~";

/// How many items the caller wants.
pub(super) fn size(page_size: u32) -> Result<u32, ApiError> {
    match page_size {
        0 => Ok(DEFAULT_SIZE),
        1..=MAX_SIZE => Ok(page_size),
        _ => Err(ApiError::field("page_size", format!("{page_size} is more than {MAX_SIZE}"))),
    }
}

/// The last item of the page before; `None` on the first page.
pub(super) fn read_token<T: FromStr>(page_token: &str) -> Result<Option<T>, ApiError> {
    if page_token.is_empty() {
        return Ok(None);
    }
    let last = page_token.strip_prefix(FORM).and_then(|last| last.parse().ok());
    last.map(Some).ok_or_else(|| {
        ApiError::field(
            "page_token",
            "is not a page token: send back `next_page_token` as it came, or nothing",
        )
    })
}

/// The token of the page that follows `last`.
fn write_token(last: &str) -> String {
    format!("{FORM}{last}")
}

/// Cuts a listing that was asked for with one item more than `size` down to its page, and names the next one.
pub(super) fn cut<T>(
    mut items: Vec<T>,
    size: u32,
    bytes: impl Fn(&T) -> usize,
    key: impl Fn(&T) -> String,
) -> (Vec<T>, String) {
    let mut total = 0;
    let fitting = items
        .iter()
        .take_while(|item| {
            total += bytes(item);
            total <= MAX_BYTES
        })
        .count();
    // One item always goes, however large.
    let kept = fitting.max(1).min(size as usize);
    if items.len() <= kept {
        return (items, String::new());
    }
    items.truncate(kept);
    let next = items.last().map(|last| write_token(&key(last))).unwrap_or_default();
    (items, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sizes: &[usize], page_size: u32, expect: usize, more: bool) {
        let items: Vec<_> =
            sizes.iter().enumerate().map(|(index, bytes)| (index.to_string(), *bytes)).collect();
        let (page, next) = cut(items, page_size, |item| item.1, |item| item.0.clone());
        assert_eq!(page.len(), expect);
        assert_eq!(!next.is_empty(), more, "{next}");
        if more {
            assert_eq!(read_token::<usize>(&next).unwrap(), Some(expect - 1));
        }
    }

    #[test]
    fn a_page_ends_at_its_size_or_at_its_bytes_and_says_whether_more_follows() {
        check(&[], 3, 0, false);
        check(&[1, 1], 3, 2, false);
        check(&[1, 1, 1], 3, 3, false);
        check(&[1, 1, 1, 1], 3, 3, true);
        check(&[1 << 20; 4], 3, 3, true);
        check(&[1 << 20, 1 << 20, 1 << 21], 3, 2, true);
        check(&[8 << 20, 1], 3, 1, true);
        check(&[8 << 20], 3, 1, false);
    }

    #[test]
    fn sizes_and_tokens_out_of_bounds_are_refused() {
        assert_eq!(size(0).unwrap(), 100);
        assert_eq!(size(1_000).unwrap(), 1_000);
        assert!(size(1_001).is_err());
        assert_eq!(read_token::<u8>("").unwrap(), None);
        for token in ["7", "1~", "1~x", "2~7", "1~300"] {
            assert!(read_token::<u8>(token).is_err(), "{token:?}");
        }
    }
}
