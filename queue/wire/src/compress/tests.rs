use std::io::{Read as _, Write as _};

use proptest::prelude::*;

use super::*;

const SNAPPY: Compression = Compression::Snappy;
const DEFLATE: Compression = Compression::Deflate { level: 6 };

/// Decodes `input`, handed over in pieces of `piece` bytes.
fn decode_in_pieces(
    compression: Compression,
    input: &[u8],
    piece: usize,
    max_out: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut decoder = Decoder::new(compression);
    let (mut waiting, mut out) = (BytesMut::new(), BytesMut::new());
    for piece in input.chunks(piece.max(1)) {
        waiting.extend_from_slice(piece);
        loop {
            let before = out.len();
            decoder.decode(&mut waiting, &mut out, max_out)?;
            assert!(out.len() - before <= max_out, "no more than it is asked for");
            if out.len() - before < max_out {
                break;
            }
        }
    }
    Ok(out.to_vec())
}

fn decode(compression: Compression, input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    decode_in_pieces(compression, input, input.len(), 1 << 20)
}

fn encode(compression: Compression, plain: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    Encoder::new(compression).encode(plain, &mut out);
    out
}

fn any_compression() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(SNAPPY), (1_u8..=9).prop_map(|level| Compression::Deflate { level })]
}

/// Some that can be compressed and some that cannot.
fn any_plain() -> impl Strategy<Value = Vec<u8>> {
    let runs = prop::collection::vec((any::<u8>(), 1_usize..30_000), 0..8);
    let repetitive = runs.prop_map(|runs| {
        runs.into_iter().flat_map(|(byte, count)| std::iter::repeat_n(byte, count)).collect::<Vec<_>>()
    });
    prop_oneof![repetitive, prop::collection::vec(any::<u8>(), 0..100_000)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_encoded_is_decoded_whatever_pieces_it_comes_in(
        compression in any_compression(),
        plains in prop::collection::vec(any_plain(), 1..4),
        piece in 1_usize..5_000,
        max_out in 1_usize..100_000,
    ) {
        let mut encoder = Encoder::new(compression);
        let mut encoded = BytesMut::new();
        plains.iter().for_each(|plain| encoder.encode(plain, &mut encoded));
        prop_assert_eq!(decode_in_pieces(compression, &encoded, piece, max_out), Ok(plains.concat()));
    }

    #[test]
    fn each_piece_can_be_decoded_without_what_follows(
        compression in any_compression(),
        plains in prop::collection::vec(any_plain(), 1..6),
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(compression), Decoder::new(compression));
        for plain in plains {
            let (mut encoded, mut out) = (BytesMut::new(), BytesMut::new());
            encoder.encode(&plain, &mut encoded);
            decoder.decode(&mut encoded, &mut out, usize::MAX).unwrap();
            prop_assert_eq!(&out[..], &plain[..]);
            prop_assert!(encoded.is_empty());
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        compression in any_compression(),
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        piece in 1_usize..100,
    ) {
        let _either = decode_in_pieces(compression, &bytes, piece, 4096);
        let after_the_name = [b"\xff\x06\x00\x00sNaPpY", &bytes[..]].concat();
        let _either = decode_in_pieces(SNAPPY, &after_the_name, piece, 4096);
    }

    #[test]
    fn the_format_is_the_one_that_others_write_and_read(plain in any_plain()) {
        let mut frame = snap::write::FrameEncoder::new(Vec::new());
        frame.write_all(&plain).unwrap();
        prop_assert_eq!(decode(SNAPPY, &frame.into_inner().unwrap()), Ok(plain.clone()));
        let mut read = Vec::new();
        snap::read::FrameDecoder::new(&*encode(SNAPPY, &plain)).read_to_end(&mut read).unwrap();
        prop_assert_eq!(&read, &plain);

        let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflated.write_all(&plain).unwrap();
        deflated.flush().unwrap();
        prop_assert_eq!(decode(DEFLATE, deflated.get_ref()), Ok(plain.clone()));
        let mut inflated = vec![0; plain.len()];
        flate2::read::DeflateDecoder::new(&*encode(DEFLATE, &plain)).read_exact(&mut inflated).unwrap();
        prop_assert_eq!(&inflated, &plain);
    }
}

#[test]
fn a_snappy_stream_begins_with_its_identifier_and_an_incompressible_chunk_as_it_is() {
    let encoded = encode(SNAPPY, b"\x00\x00\x00\x06\x00\x00\x00\x00OK");
    assert_eq!(&encoded[..10], b"\xff\x06\x00\x00sNaPpY");
    assert_eq!(&encoded[10..14], [1, 14, 0, 0]);
    assert_eq!(&encoded[18..], b"\x00\x00\x00\x06\x00\x00\x00\x00OK");
}

#[test]
fn a_deflate_stream_ends_each_piece_at_a_byte() {
    assert!(encode(DEFLATE, b"OK").ends_with(&[0, 0, 0xff, 0xff]));
}

#[test]
fn identifiers_and_padding_are_taken_anywhere() {
    let one = encode(SNAPPY, b"one");
    let padding = [&[0xfe_u8, 3, 0, 0][..], b"xyz", &[0x80, 0, 0, 0]].concat();
    let stream = [&one[..], &padding, &one, &padding, &one[10..]].concat();
    for piece in 1..stream.len() {
        assert_eq!(decode_in_pieces(SNAPPY, &stream, piece, 2), Ok(b"oneoneone".to_vec()));
    }
}

#[test]
fn a_broken_snappy_stream_says_what_is_wrong() {
    use CompressionError as E;
    let after = |chunk: &[u8]| [b"\xff\x06\x00\x00sNaPpY", chunk].concat();
    let mut flipped = encode(SNAPPY, b"what it was");
    *flipped.last_mut().unwrap() ^= 1;
    let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f]; // claims 4 GiB
    let claims = [&[0, 9, 0, 0, 1, 2, 3, 4][..], &bomb].concat();
    for (stream, expected) in [
        (b"\x01\x05\x00\x00....x".to_vec(), E::NoIdentifier),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), E::NoIdentifier),
        (b"\xff\x06\x00\x00sNaPpX".to_vec(), E::NoIdentifier),
        (b"\xff\x07\x00\x00sNaPpY.".to_vec(), E::BadLength { kind: 0xff, bytes: 7 }),
        (after(&[2, 0, 0, 0]), E::UnknownChunk(2)),
        (after(&[0x7f, 0, 0, 0]), E::UnknownChunk(0x7f)),
        (after(&[1, 3, 0, 0]), E::BadLength { kind: 1, bytes: 3 }),
        (after(&[1, 5, 0, 1]), E::BadLength { kind: 1, bytes: 65_541 }),
        (after(&[0, 0xff, 0xff, 0xff]), E::BadLength { kind: 0, bytes: 0xff_ffff }),
        (after(&claims), E::BadChunk),
        (after(&[0, 5, 0, 0, 1, 2, 3, 4, 5]), E::BadChunk),
        (flipped.to_vec(), E::BadChecksum),
    ] {
        assert_eq!(decode(SNAPPY, &stream), Err(expected), "{}", stream.escape_ascii());
    }
}

#[test]
fn a_broken_or_ended_deflate_stream_is_refused() {
    assert_eq!(decode(DEFLATE, b"\xff\xff\xff\xff"), Err(CompressionError::BadDeflate));
    // A last block with nothing in it.
    assert_eq!(decode(DEFLATE, &[0x03, 0x00]), Err(CompressionError::Ended));
}

#[test]
fn a_bomb_takes_no_more_memory_than_it_is_given_room() {
    for compression in [SNAPPY, DEFLATE] {
        let mut bomb = encode(compression, &vec![0; 64 << 20]);
        let size = bomb.len();
        assert!(size < 4 << 20, "{compression:?} {size}");
        let (mut decoder, mut out) = (Decoder::new(compression), BytesMut::new());
        let mut decoded = 0;
        while decoded < 64 << 20 {
            decoder.decode(&mut bomb, &mut out, 4096).unwrap();
            assert!((1..=4096).contains(&out.len()));
            decoded += out.len();
            out.clear();
        }
        assert!(out.capacity() < 64 << 10, "{}", out.capacity());
    }
}
