//! Whole numbers as Go writes them: `strconv.ParseInt` with base 0.

/// The number in base 10, as `clap` takes it too; `None` for what Go does not take.
pub(super) fn decimal(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = split_base(digits);
    if !digits.starts_with(|first: char| first.is_digit(base) || first == '_' && base != 10) {
        return None;
    }
    // One between digits, or behind the prefix that says the base.
    if digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let number = u64::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(if number == 0 { "0".to_owned() } else { format!("{sign}{number}") })
}

fn split_base(digits: &str) -> (u32, &str) {
    let behind = |prefixes: [&str; 2]| prefixes.iter().find_map(|prefix| digits.strip_prefix(prefix));
    if let Some(digits) = behind(["0x", "0X"]) {
        (16, digits)
    } else if let Some(digits) = behind(["0b", "0B"]) {
        (2, digits)
    } else if let Some(digits) = behind(["0o", "0O"]) {
        (8, digits)
    } else if let Some(digits) = digits.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        (8, digits)
    } else {
        (10, digits)
    }
}
