//! One address that messages are sent to.

use std::fmt::Write as _;

/// What stands for the message in the address of a GET.
const PLACE: &str = "%s";

/// An address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The message has to go into the address, once.
    #[error("invalid GET address - must be a printf string: {address:?} has not exactly one %s")]
    NoPlace {
        /// What was given.
        address: String,
    },
    /// Not an address of HTTP.
    #[error("{address:?} is not an http URL")]
    NotHttp {
        /// What was given.
        address: String,
    },
}

/// Where to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The message is the body.
    Post { url: String },
    /// The message is part of the address, between these.
    Get { before: String, after: String },
}

impl Target {
    pub(super) fn post(address: &str) -> Result<Self, TargetError> {
        check_scheme(address)?;
        Ok(Self::Post { url: address.to_owned() })
    }

    /// An address with one `%s`; `%%` stands for a percent sign.
    pub(super) fn get(address: &str) -> Result<Self, TargetError> {
        check_scheme(address)?;
        let no_place = || TargetError::NoPlace { address: address.to_owned() };
        let (before, after) = address.split_once(PLACE).ok_or_else(no_place)?;
        if after.contains(PLACE) {
            return Err(no_place());
        }
        Ok(Self::Get { before: before.replace("%%", "%"), after: after.replace("%%", "%") })
    }

    /// The address for a message.
    pub(super) fn url(&self, body: &[u8]) -> String {
        match self {
            Self::Post { url } => url.clone(),
            Self::Get { before, after } => format!("{before}{}{after}", escaped(body)),
        }
    }

    /// Whether it is reached over TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        let (Self::Post { url: start } | Self::Get { before: start, .. }) = self;
        start.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    }

    /// Whether an answer with this status says that the message was taken.
    pub(super) fn accepts(&self, status: u16) -> bool {
        match self {
            Self::Post { .. } => (200..300).contains(&status),
            Self::Get { .. } => status == 200,
        }
    }
}

fn check_scheme(address: &str) -> Result<(), TargetError> {
    let scheme = address.split_once("://").map_or("", |(scheme, _)| scheme);
    match ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        true => Ok(()),
        false => Err(TargetError::NotHttp { address: address.to_owned() }),
    }
}

/// As the value of a query's parameter.
fn escaped(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    for byte in body {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(*byte))
            }
            b' ' => text.push('+'),
            _ => {
                // A String takes all that is written.
                let _never_fails = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_get(address: &str, body: &[u8], expect: &str) {
        assert_eq!(Target::get(address).unwrap().url(body), expect);
    }

    #[test]
    fn the_message_is_escaped_into_the_address_of_a_get() {
        check_get("http://h/p?d=%s", b"a b&c=d/\xff~", "http://h/p?d=a+b%26c%3Dd%2F%FF~");
        check_get("http://h/%s?x=%%20", b"1", "http://h/1?x=%20");
        check_get("https://h/?d=%s&x=%20", b"%s", "https://h/?d=%25s&x=%20");
        check_get("http://h/?d=%s", b"", "http://h/?d=");
    }

    #[test]
    fn the_address_of_a_post_is_as_it_is() {
        assert_eq!(Target::post("http://h/%s?x=%%").unwrap().url(b"body"), "http://h/%s?x=%%");
    }

    #[test]
    fn addresses_that_cannot_be_used_are_refused() {
        for address in ["http://h/", "http://h/%s/%s"] {
            let refused = TargetError::NoPlace { address: address.to_owned() };
            assert_eq!(Target::get(address), Err(refused));
        }
        for address in ["h:80/%s", "ftp://h/%s", "", "://%s"] {
            let refused = TargetError::NotHttp { address: address.to_owned() };
            assert_eq!(Target::get(address), Err(refused.clone()));
            assert_eq!(Target::post(address), Err(refused));
        }
    }

    #[test]
    fn only_https_is_encrypted() {
        for (address, expect) in [("https://h/%s", true), ("HTTPS://h/%s", true), ("http://https:/%s", false)]
        {
            assert_eq!(Target::get(address).unwrap().is_encrypted(), expect);
            assert_eq!(Target::post(address).unwrap().is_encrypted(), expect);
        }
    }

    #[test]
    fn a_get_has_to_be_answered_by_200_and_a_post_by_any_success() {
        let post = Target::post("http://h/").unwrap();
        let get = Target::get("http://h/%s").unwrap();
        let taken = |target: &Target| -> Vec<_> {
            [199, 200, 201, 204, 299, 300, 404, 500]
                .into_iter()
                .filter(|status| target.accepts(*status))
                .collect()
        };
        assert_eq!(taken(&post), [200, 201, 204, 299]);
        assert_eq!(taken(&get), [200]);
    }
}
