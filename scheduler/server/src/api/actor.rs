//! Who makes a call, for the record of what was done.

use tonic::Request;

/// The metadata by which callers name themselves. Nothing is allowed because of it.
const ACTOR: &str = "punctual-actor";
/// The most characters that are kept.
const MAX_ACTOR: usize = 200;
/// A caller that does not.
const NAMELESS: &str = "api";

/// As the caller names itself.
pub(super) fn actor<T>(request: &Request<T>) -> String {
    let named = request.metadata().get(ACTOR).and_then(|value| value.to_str().ok());
    let named = named.map(str::trim).filter(|name| !name.is_empty());
    named.map_or_else(|| NAMELESS.to_owned(), |name| name.chars().take(MAX_ACTOR).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_called_what_it_calls_itself() {
        let check = |named: Option<&str>, expect: &str| {
            let mut request = Request::new(());
            if let Some(named) = named {
                request.metadata_mut().insert(ACTOR, named.parse().unwrap());
            }
            assert_eq!(actor(&request), expect);
        };
        check(None, "api");
        check(Some("  "), "api");
        check(Some(" ann@desk "), "ann@desk");
        check(Some(&"x".repeat(300)), &"x".repeat(200));
    }
}
