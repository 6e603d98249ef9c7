//! Collects what is wrong with a request, so that its sender learns all of it at once.

use std::fmt::Display;

use punctual_scheduler_domain::field::FieldError;

use crate::api::error::ApiError;

/// What is wrong with a request so far.
#[derive(Debug, Default)]
pub(in crate::api) struct Fields {
    wrong: Vec<FieldError>,
}

impl Fields {
    pub(in crate::api) fn new() -> Self {
        Self::default()
    }

    /// Says that a field cannot be used.
    pub(in crate::api) fn refuse(&mut self, field: impl Into<String>, message: impl Display) {
        self.wrong.push(FieldError::new(field, message.to_string()));
    }

    /// The value, or `None` and the reason noted.
    pub(in crate::api) fn take<T, E: Display>(
        &mut self,
        field: impl Into<String>,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|error| self.refuse(field, error)).ok()
    }

    /// Adds what a check of the field `at` found in its parts.
    pub(in crate::api) fn extend(&mut self, at: &str, found: Vec<FieldError>) {
        self.wrong
            .extend(found.into_iter().map(|error| FieldError::new(join(at, &error.field), error.message)));
    }

    /// Whether nothing is wrong so far.
    pub(in crate::api) fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }

    /// A text without NUL, which Postgres cannot keep, of at most `max` characters.
    pub(in crate::api) fn text(&mut self, field: impl Into<String>, text: String, max: usize) -> String {
        let field = field.into();
        if text.contains('\0') {
            self.refuse(field, "holds a NUL character");
        } else if text.len() > max && text.chars().count() > max {
            let length = text.chars().count();
            self.refuse(field, format!("has {length} characters, the most is {max}"));
        }
        text
    }

    /// An enum's value by its number.
    pub(in crate::api) fn choice<T: TryFrom<i32>>(
        &mut self,
        field: impl Into<String>,
        number: i32,
    ) -> Option<T> {
        self.take(field, T::try_from(number).map_err(|_| format!("{number} is none of its values")))
    }

    /// The value when nothing was wrong.
    pub(in crate::api) fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        match value {
            Some(value) if self.wrong.is_empty() => Ok(value),
            Some(_) | None => Err(ApiError::Invalid(self.wrong)),
        }
    }
}

/// The path of a field within the one at `at`.
pub(super) fn join(at: &str, field: &str) -> String {
    match (at, field) {
        ("", field) => field.to_owned(),
        (at, "") => at.to_owned(),
        (at, field) => format!("{at}.{field}"),
    }
}
