use proptest::prelude::*;

use super::*;

fn any_message() -> impl Strategy<Value = Message> {
    (any::<[u8; ID_BYTES]>(), any::<i64>(), any::<u16>(), proptest::collection::vec(any::<u8>(), 0..200))
        .prop_map(|(id, timestamp_ns, attempts, body)| Message {
            id: MessageId(id),
            timestamp_ns,
            attempts,
            body: body.into(),
        })
}

fn any_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..100).prop_map(|data| Frame::Response(data.into())),
        ("E_[A-Z_]{1,20}", "[ -~]{0,60}").prop_map(|(code, text)| Frame::Error { code, text }),
        any_message().prop_map(Frame::Message),
    ]
}

fn encoded(frames: &[Frame]) -> BytesMut {
    let mut out = BytesMut::new();
    for frame in frames {
        match frame {
            Frame::Response(data) => encode_response(data, &mut out),
            Frame::Error { code, text } => encode_error(format!("{code} {text}").as_bytes(), &mut out),
            Frame::Message(message) => encode_message(message, &mut out),
        }
    }
    out
}

proptest! {
    #[test]
    fn frames_survive_the_wire_split_at_any_byte(
        frames in proptest::collection::vec(any_frame(), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = encoded(&frames);
        let (first, second) = bytes.split_at(cut.index(bytes.len()));
        let mut input = BytesMut::new();
        let mut read = Vec::new();
        for part in [first, second] {
            input.extend_from_slice(part);
            while let Some(frame) = Frame::decode(&mut input, 1024)? {
                read.push(frame);
            }
        }
        prop_assert_eq!(read, frames);
        prop_assert!(input.is_empty());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut input = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = Frame::decode(&mut input, 100) {}
    }
}

#[track_caller]
fn check(bytes: &[u8], expect: Result<Option<Frame>, FrameError>) {
    assert_eq!(Frame::decode(&mut BytesMut::from(bytes), 100), expect);
}

#[test]
fn a_frame_that_cannot_be_is_refused() {
    check(&[0, 0, 0], Ok(None));
    check(&[0, 0, 0, 3], Err(FrameError::BadSize(3)));
    check(&[0xff; 4], Err(FrameError::BadSize(-1)));
    check(&[0, 0, 0, 101], Err(FrameError::TooBig { size: 101, max_bytes: 100 }));
    check(&[0, 0, 0, 4, 0, 0, 0, 3], Err(FrameError::UnknownType(3)));
    check(&[0, 0, 0, 5, 0, 0, 0, 2, 0], Err(FrameError::ShortMessage(1)));
    // What go-nsq sees when it dials an HTTP port.
    check(b"HTTP/1.1 400", Err(FrameError::TooBig { size: 0x4854_5450, max_bytes: 100 }));
}

#[test]
fn an_error_without_a_description_is_a_code() {
    let frame = Frame::Error { code: "E_BAD_PROTOCOL".to_owned(), text: String::new() };
    check(b"\0\0\0\x12\0\0\0\x01E_BAD_PROTOCOL", Ok(Some(frame)));
}

#[test]
fn a_message_has_nsqs_layout() {
    let message = Message {
        id: MessageId(*b"0123456789abcdef"),
        timestamp_ns: 1,
        attempts: 2,
        body: Bytes::from_static(b"hi"),
    };
    let mut out = BytesMut::new();
    encode_message(&message, &mut out);
    assert_eq!(&out[..], b"\0\0\0\x20\0\0\0\x02\0\0\0\0\0\0\0\x01\0\x020123456789abcdefhi");
}
