use super::{FlagError, Given};

const FLAG: &str = "log-level";

/// Puts one of NSQ's levels of the log into ours, where it was given. Directives, which NSQ does not have, stay as they are.
///
/// # Errors
/// A word that is none of NSQ's five.
pub fn translate_log_level(given: &mut Given) -> Result<(), FlagError> {
    let Some(level) = given.value(FLAG).filter(|level| !level.contains('=')) else { return Ok(()) };
    let ours = match level.to_lowercase().as_str() {
        word @ ("debug" | "info" | "warn" | "error") => word.to_owned(),
        // Nothing here is logged as fatal; what ends the process is an error.
        "fatal" => "error".to_owned(),
        _ => {
            return Err(FlagError::BadValue {
                name: FLAG.to_owned(),
                value: level.to_owned(),
                reason: format!("invalid log level '{level}' (debug, info, warn, error, fatal)"),
            });
        }
    };
    given.change(FLAG, |_| ours.clone());
    Ok(())
}
