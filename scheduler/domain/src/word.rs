//! The words by which states and choices go in SQL, JSON and logs: one spelling for all of them.

/// A text that is none of the words expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no {what}")]
pub struct UnknownWord {
    /// What it was to be.
    pub what: &'static str,
    /// The text.
    pub found: String,
}

/// Gives an enum without fields its list of `ALL` values and a word for each, to write and to read.
macro_rules! words {
    ($name:ident, $what:literal, $($variant:ident => $word:literal),+ $(,)?) => {
        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word for it in SQL, JSON and logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::word::UnknownWord;
            fn from_str(text: &str) -> Result<Self, $crate::word::UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::word::UnknownWord { what: $what, found: text.to_owned() }),
                }
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display};
    use std::str::FromStr;

    use serde::Serialize;

    use super::UnknownWord;
    use crate::attempt::AttemptOutcome;
    use crate::job::{JobState, Overlap};
    use crate::misfire::{Misfire, MissedReason};
    use crate::retention::RetentionClass;
    use crate::run::{RunOrigin, RunState};
    use crate::schedule::{Dialect, DomDow};

    #[track_caller]
    fn check<T>(all: &[T])
    where
        T: Copy + Debug + Display + FromStr<Err = UnknownWord> + PartialEq + Serialize,
    {
        for word in all {
            assert_eq!(word.to_string().parse(), Ok(*word));
            assert_eq!(serde_json::to_string(word).unwrap(), format!("\"{word}\""));
        }
    }

    #[test]
    fn words_survive_being_written_and_read_and_json_has_the_same() {
        check(RunState::ALL);
        check(RunOrigin::ALL);
        check(AttemptOutcome::ALL);
        check(JobState::ALL);
        check(Overlap::ALL);
        check(Misfire::ALL);
        check(MissedReason::ALL);
        check(RetentionClass::ALL);
        check(Dialect::ALL);
        check(DomDow::ALL);
    }

    #[test]
    fn any_other_text_is_refused() {
        let error = "done".parse::<RunState>().unwrap_err();
        assert_eq!(error.to_string(), "`done` is no state of a run");
        assert!("Running".parse::<RunState>().is_err());
    }
}
