//! Which of the runs that wait in a task queue goes first.

use serde::{Deserialize, Serialize};

/// 0 to 9; the higher goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Priority(u8);

/// A number that is no priority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no priority: expected 0 to 9, of which the higher goes first")]
pub struct NoPriority(u32);

impl Priority {
    /// What goes after all others.
    pub const LOWEST: Self = Self(0);
    /// What goes before all others.
    pub const HIGHEST: Self = Self(9);

    /// Checks the number.
    ///
    /// # Errors
    /// Above 9.
    pub fn new(number: u32) -> Result<Self, NoPriority> {
        match u8::try_from(number) {
            Ok(small) if small <= Self::HIGHEST.0 => Ok(Self(small)),
            _ => Err(NoPriority(number)),
        }
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    /// In the middle, so that others can go before and after what says nothing.
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<u32> for Priority {
    type Error = NoPriority;
    fn try_from(number: u32) -> Result<Self, NoPriority> {
        Self::new(number)
    }
}

impl From<Priority> for u32 {
    fn from(priority: Priority) -> Self {
        Self::from(priority.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_ten_of_them_and_the_middle_is_the_default() {
        assert_eq!(Priority::new(0), Ok(Priority::LOWEST));
        assert_eq!(Priority::new(9), Ok(Priority::HIGHEST));
        assert_eq!(Priority::new(5), Ok(Priority::default()));
        for number in [10, 261, u32::MAX] {
            let error = Priority::new(number).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{number} is no priority")), "{error}");
            assert!(serde_json::from_str::<Priority>(&number.to_string()).is_err());
        }
        assert_eq!(serde_json::to_string(&Priority::HIGHEST).unwrap(), "9");
    }
}
