//! Topic and channel names.

use std::{fmt, str::FromStr, sync::Arc};

/// The longest name in bytes, `#ephemeral` included.
pub const MAX_NAME_BYTES: usize = 64;

/// What marks a name as ephemeral: kept in memory only and dropped with its last user.
pub const EPHEMERAL_SUFFIX: &str = "#ephemeral";

/// Why a text is not a topic's or channel's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing before `#ephemeral`.
    #[error("the name is empty")]
    Empty,
    /// More than [`MAX_NAME_BYTES`].
    #[error("the name has {bytes} bytes, at most {MAX_NAME_BYTES} are allowed")]
    TooLong {
        /// The length that was given.
        bytes: usize,
    },
    /// A byte other than letters, digits, `.`, `_` and `-`.
    #[error("the byte 0x{byte:02x} at position {position} is not allowed in a name")]
    BadByte {
        /// The first byte that is not allowed.
        byte: u8,
        /// Its index, from 0.
        position: usize,
    },
}

fn validate(name: &[u8]) -> Result<&str, NameError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong { bytes: name.len() });
    }
    let stem = name.strip_suffix(EPHEMERAL_SUFFIX.as_bytes()).unwrap_or(name);
    if stem.is_empty() {
        return Err(NameError::Empty);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if let Some(position) = stem.iter().position(|byte| !allowed(*byte)) {
        return Err(NameError::BadByte { byte: stem[position], position });
    }
    Ok(std::str::from_utf8(name).expect("every byte was found to be ASCII"))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a name as it came over the wire.
            ///
            /// # Errors
            /// Any byte, or the length, is not allowed.
            pub fn from_bytes(name: &[u8]) -> Result<Self, NameError> {
                validate(name).map(|name| Self(name.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the name ends in [`EPHEMERAL_SUFFIX`].
            pub fn is_ephemeral(&self) -> bool {
                self.0.ends_with(EPHEMERAL_SUFFIX)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::from_bytes(name.as_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type! {
    /// The name of a topic: what is published to. Cheap to clone.
    TopicName
}

name_type! {
    /// The name of a channel: one subscriber group's copy of a topic. Cheap to clone.
    ChannelName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expect: Result<(), NameError>) {
        assert_eq!(
            name.parse::<TopicName>().map(|topic| assert_eq!(topic.as_str(), name)),
            expect,
            "{name:?}"
        );
        assert_eq!(name.parse::<ChannelName>().map(drop), expect, "{name:?}");
    }

    #[test]
    fn names_are_up_to_64_bytes_of_letters_digits_dot_dash_and_underscore() {
        check("task.default.mail-2_x", Ok(()));
        check(&"a".repeat(64), Ok(()));
        check(&"a".repeat(65), Err(NameError::TooLong { bytes: 65 }));
        check("", Err(NameError::Empty));
        check("a b", Err(NameError::BadByte { byte: b' ', position: 1 }));
        check("ü", Err(NameError::BadByte { byte: 0xc3, position: 0 }));
        check("a#tmp", Err(NameError::BadByte { byte: b'#', position: 1 }));
    }

    #[test]
    fn the_ephemeral_suffix_counts_towards_the_length_and_needs_a_stem() {
        check("a#ephemeral", Ok(()));
        check(&format!("{}#ephemeral", "a".repeat(54)), Ok(()));
        check(&format!("{}#ephemeral", "a".repeat(55)), Err(NameError::TooLong { bytes: 65 }));
        check("#ephemeral", Err(NameError::Empty));
        check("a#ephemeral#ephemeral", Err(NameError::BadByte { byte: b'#', position: 1 }));
        assert!("a#ephemeral".parse::<ChannelName>().is_ok_and(|channel| channel.is_ephemeral()));
        assert!("ephemeral".parse::<ChannelName>().is_ok_and(|channel| !channel.is_ephemeral()));
    }
}
