//! The bytes of Redis's protocol, as much as streams need.

use anyhow::bail;

use crate::peers::wire::{number, text_line};

/// What Redis answers.
#[derive(Debug)]
pub(super) enum Value<'a> {
    /// A bulk or a simple string.
    Text(&'a [u8]),
    Number,
    List(Vec<Value<'a>>),
    Nothing,
}

/// A command of these words.
pub(super) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Bytes of the value at the front; `None` while it is not whole.
pub(super) fn length(input: &[u8]) -> anyhow::Result<Option<usize>> {
    Ok(value(input)?.map(|(_, bytes)| bytes))
}

/// The value at the front and how many bytes it has; `None` while it is not whole.
pub(super) fn value(input: &[u8]) -> anyhow::Result<Option<(Value<'_>, usize)>> {
    let Some((line, head)) = text_line(input) else { return Ok(None) };
    let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
    match (kind, rest) {
        ("+", _) => Ok(Some((Value::Text(rest.as_bytes()), head))),
        (":", _) => Ok(Some((Value::Number, head))),
        ("$" | "*", "-1") => Ok(Some((Value::Nothing, head))),
        ("$", _) => {
            let end = head + number(Some(rest))?;
            Ok((input.len() >= end + 2).then(|| (Value::Text(&input[head..end]), end + 2)))
        }
        ("*", _) => list(input, head, number(Some(rest))?),
        _ => bail!("Redis says {line}"),
    }
}

fn list(input: &[u8], head: usize, count: usize) -> anyhow::Result<Option<(Value<'_>, usize)>> {
    let mut values = Vec::new();
    let mut from = head;
    for _ in 0..count {
        let Some((value, bytes)) = value(&input[from..])? else { return Ok(None) };
        values.push(value);
        from += bytes;
    }
    Ok(Some((Value::List(values), from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_only_when_it_is_whole() {
        let entry = b"*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nb\r\n$2\r\n\r\n\r\n:7\r\n";
        let whole = entry.len() - 4;
        for end in 0..whole {
            assert!(length(&entry[..end]).unwrap().is_none(), "{end} of {whole} bytes");
        }
        assert_eq!(length(entry).unwrap(), Some(whole));
    }

    #[test]
    fn a_command_reads_as_a_list() {
        let bytes = command(&[b"XADD", b"a\r\nb"]);
        let (value, length) = value(&bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        assert!(matches!(value, Value::List(words) if matches!(words[..], [_, Value::Text(b"a\r\nb")])));
    }
}
