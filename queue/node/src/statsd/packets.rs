//! Lines packed into as few packets as their size allows.

/// Puts `lines` into packets of at most `max_bytes` each, in order. A line that is longer has one of its own.
pub(super) fn pack(lines: &[String], max_bytes: usize) -> Vec<String> {
    let mut packets: Vec<String> = Vec::new();
    for line in lines {
        match packets.last_mut() {
            Some(packet) if packet.len() + line.len() <= max_bytes => packet.push_str(line),
            _ => packets.push(line.clone()),
        }
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expect: &[&str]) {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(pack(&lines, 6), expect);
    }

    #[test]
    fn lines_share_a_packet_while_they_fit() {
        check(&[], &[]);
        check(&["ab\n"], &["ab\n"]);
        check(&["ab\n", "cd\n", "e\n"], &["ab\ncd\n", "e\n"]);
        check(&["ab\n", "cde\n"], &["ab\n", "cde\n"]);
        check(&["a\n", "too long\n", "b\n", "c\n"], &["a\n", "too long\n", "b\nc\n"]);
    }
}
