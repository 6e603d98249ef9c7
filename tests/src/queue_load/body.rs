//! Message bodies that tell which message they are, and whether they are whole.

use anyhow::{Context, ensure};
use bytes::Bytes;

/// The shortest body: its number and its checksum.
const LEAST_BYTES: usize = 12;

/// The body of message `number`: the number, some filling whose length and bytes follow from it, and a checksum.
pub(super) fn encode(number: u64) -> Bytes {
    let filling = (number.wrapping_mul(2_654_435_761) % 512) as usize;
    let mut body = Vec::with_capacity(LEAST_BYTES + filling);
    body.extend_from_slice(&number.to_be_bytes());
    body.extend((0..filling).map(|place| (number as u8).wrapping_add(place as u8)));
    body.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    body.into()
}

/// The number of the message whose body this is.
pub(super) fn decode(body: &[u8]) -> anyhow::Result<u64> {
    let (content, checksum) = body.split_last_chunk::<4>().context("too short for a checksum")?;
    let number = content.first_chunk::<8>().context("too short for a number")?;
    let number = u64::from_be_bytes(*number);
    ensure!(
        crc32fast::hash(content) == u32::from_be_bytes(*checksum),
        "the checksum is wrong in a body of {} bytes that says it is number {number}",
        body.len(),
    );
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_with_any_flipped_bit_or_any_length_cut_is_noticed() {
        for number in [0, 1, 77, u64::MAX] {
            let body = encode(number);
            assert_eq!(decode(&body).unwrap(), number);
            for bit in 0..body.len() * 8 {
                let mut flipped = body.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(&flipped).is_err(), "bit {bit} of number {number}");
            }
            assert!((0..body.len()).all(|length| decode(&body[..length]).is_err()));
        }
    }
}
