use proptest::prelude::*;

use super::*;

fn peer() -> PeerInfo {
    PeerInfo {
        broadcast_address: "node-1".to_owned(),
        tcp_port: 4150,
        http_port: 4151,
        version: "1.3.0".to_owned(),
        ..PeerInfo::default()
    }
}

fn names(topic: &str, channel: Option<&str>) -> Registration {
    Registration { topic: topic.parse().unwrap(), channel: channel.map(|channel| channel.parse().unwrap()) }
}

/// Every command, in an order that is allowed.
fn commands() -> Vec<RegistrationCommand> {
    vec![
        RegistrationCommand::Ping,
        RegistrationCommand::Identify(peer()),
        RegistrationCommand::Register(names("t", None)),
        RegistrationCommand::Register(names("t", Some("c#ephemeral"))),
        RegistrationCommand::Unregister(names("t", Some("c#ephemeral"))),
        RegistrationCommand::Unregister(names("t", None)),
    ]
}

proptest! {
    #[test]
    fn commands_survive_the_wire_split_at_any_byte(cut in any::<prop::sample::Index>()) {
        let mut bytes = BytesMut::new();
        commands().iter().for_each(|command| command.encode(&mut bytes));
        let (first, second) = bytes.split_at(cut.index(bytes.len()));
        let (mut reader, mut input, mut read) = (RegistrationReader::new(1_000), BytesMut::new(), Vec::new());
        for part in [first, second] {
            input.extend_from_slice(part);
            while let Some(command) = reader.next(&mut input)? {
                read.push(command);
            }
        }
        prop_assert_eq!(read, commands());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut input = BytesMut::from(&b"IDENTIFY\n"[..]);
        input.extend_from_slice(&bytes);
        let mut reader = RegistrationReader::new(100);
        while let Ok(Some(_)) = reader.next(&mut input) {}
        while let Ok(Some(_)) = decode_answer(&mut input, 100) {}
    }
}

/// What a node is told after `input`, once it has said who it is.
#[track_caller]
fn refused(input: &[u8], expect: &str) {
    let mut bytes = BytesMut::new();
    RegistrationCommand::Identify(peer()).encode(&mut bytes);
    bytes.extend_from_slice(input);
    let mut reader = RegistrationReader::new(1_000);
    assert!(matches!(reader.next(&mut bytes), Ok(Some(RegistrationCommand::Identify(_)))));
    assert_eq!(reader.next(&mut bytes).map_err(|error| error.to_string()), Err(expect.to_owned()));
}

#[test]
fn what_a_node_gets_wrong_is_named() {
    refused(b"WHAT\n", "E_INVALID invalid command WHAT");
    refused(b"IDENTIFY\n", "E_INVALID cannot IDENTIFY again");
    refused(b"REGISTER\n", "E_INVALID REGISTER insufficient number of params");
    refused(b"UNREGISTER b@d\n", "E_BAD_TOPIC UNREGISTER topic name 'b@d' is not valid");
    refused(b"REGISTER t b@d\n", "E_BAD_CHANNEL REGISTER channel name 'b@d' is not valid");
}

#[test]
fn lines_are_trimmed() {
    let mut input = BytesMut::from(&b" PING \r\n"[..]);
    assert_eq!(RegistrationReader::new(1_000).next(&mut input), Ok(Some(RegistrationCommand::Ping)));
}

#[test]
fn an_answer_is_a_size_and_data() {
    let mut bytes = BytesMut::new();
    encode_answer(OK, &mut bytes);
    assert_eq!(&bytes[..], b"\0\0\0\x02OK");
    assert_eq!(decode_answer(&mut bytes, 100), Ok(Some(Bytes::from_static(b"OK"))));
    assert_eq!(decode_answer(&mut bytes, 100), Ok(None));
    assert_eq!(decode_answer(&mut BytesMut::from(&b"\xff\xff\xff\xff"[..]), 100), Err(AnswerSizeError(-1)));
    assert_eq!(decode_answer(&mut BytesMut::from(&b"\0\0\0\x65"[..]), 100), Err(AnswerSizeError(101)));
}

#[test]
fn who_a_node_is_is_read_as_go_reads_it() {
    let read = |json: &str| PeerInfo::from_json(json.as_bytes());
    let whole = r#"{"broadcast_address":"node-1","tcp_port":4150,"http_port":4151,"version":"1.3.0"}"#;
    assert_eq!(read(whole), Ok(peer()));
    assert_eq!(read(&whole.replace("tcp_port", "TCP_Port")), Ok(peer()));
    assert_eq!(read(&whole.replace('{', r#"{"hostname":null,"extra":[{}],"tcp_port":1,"#)), Ok(peer()));
    for (json, error) in [
        ("", RegistrationError::BadJson),
        ("[]", RegistrationError::BadJson),
        ("{", RegistrationError::BadJson),
        (&whole.replace("4150", r#""4150""#), RegistrationError::BadJson),
        (&whole.replace("4150", "1.5"), RegistrationError::BadJson),
        ("null", RegistrationError::MissingFields),
        ("{}", RegistrationError::MissingFields),
        (&whole.replace("4151", "0"), RegistrationError::MissingFields),
        (&whole.replace("node-1", ""), RegistrationError::MissingFields),
        (&whole.replace("1.3.0", ""), RegistrationError::MissingFields),
    ] {
        assert_eq!(read(json), Err(error), "{json}");
    }
}

#[test]
fn an_input_that_ends_is_only_an_error_within_identify() {
    for (input, end) in [
        (&b""[..], None),
        (b"REGISTER t", None),
        (b"IDENTIFY\n", Some(RegistrationError::SizeCutOff)),
        (b"IDENTIFY\n\0\0\0", Some(RegistrationError::SizeCutOff)),
        (b"IDENTIFY\n\0\0\0\x05{", Some(RegistrationError::BodyCutOff)),
    ] {
        let mut reader = RegistrationReader::new(1_000);
        assert_eq!(reader.next(&mut BytesMut::from(input)), Ok(None));
        assert_eq!(reader.end(), end, "{}", input.escape_ascii());
    }
}
