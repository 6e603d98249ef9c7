//! Text in double quotes as NSQ's error texts carry it.

use std::fmt::{self, Write};

/// Shows bytes the way Go's `%q` does: printable text as it is, everything else escaped.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|char| quote_char(char, f))?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        f.write_char('"')
    }
}

fn quote_char(char: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match char {
        '"' => f.write_str("\\\""),
        '\\' => f.write_str("\\\\"),
        '\u{7}' => f.write_str("\\a"),
        '\u{8}' => f.write_str("\\b"),
        '\u{c}' => f.write_str("\\f"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\u{b}' => f.write_str("\\v"),
        '\0'..=' ' | '\u{7f}' if char != ' ' => write!(f, "\\x{:02x}", u32::from(char)),
        printable if !printable.is_control() => f.write_char(printable),
        control => write!(f, "\\u{:04x}", u32::from(control)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expect: &str) {
        assert_eq!(Quoted(bytes).to_string(), expect);
    }

    #[test]
    fn text_is_quoted_as_go_quotes_it() {
        check(b"b@d", r#""b@d""#);
        check(b"", r#""""#);
        check(b"a\"b\\c", r#""a\"b\\c""#);
        check(b"\x00\x1f\x7f\n", r#""\x00\x1f\x7f\n""#);
        check("grün".as_bytes(), r#""grün""#);
        check(b"\xff x", r#""\xff x""#);
        check("\u{85}".as_bytes(), r#""\u0085""#);
    }
}
