use std::str::FromStr;

use serde_json::Value;

/// A JSON value given on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Payload(Value);

impl Payload {
    /// Its JSON text, as requests carry it.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}

impl FromStr for Payload {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).map(Self)
    }
}
