use proptest::prelude::*;

use super::*;
use crate::error::ProtocolError;

const CONNECTED: Standing =
    Standing { state: ConnectionState::Connected, heartbeats: true, lacks_tls: false };
const SUBSCRIBED: Standing = Standing { state: ConnectionState::Subscribed, ..CONNECTED };
const CLOSING: Standing = Standing { state: ConnectionState::Closing, ..CONNECTED };

const ID: &str = "0123456789abcdef";

fn limits() -> Limits {
    Limits { max_message_bytes: 20, max_body_bytes: 54, ..Limits::default() }
}

fn read(input: &[u8], standing: Standing) -> Result<Option<Command>, ProtocolError> {
    CommandReader::default().next(&mut BytesMut::from(input), standing, &limits())
}

/// A command that is understood.
#[track_caller]
fn check(input: &[u8], standing: Standing, expect: Command) {
    assert_eq!(read(input, standing), Ok(Some(expect)));
}

/// A command that is answered by an error.
#[track_caller]
fn refused(input: &[u8], standing: Standing, expect: &str) {
    let error = read(input, standing).expect_err("the command is wrong");
    assert_eq!(error.answer().as_deref(), Some(expect));
    assert!(error.is_fatal());
}

fn topic() -> TopicName {
    "t".parse().unwrap()
}

fn id() -> MessageId {
    ID.parse().unwrap()
}

#[test]
fn commands_without_a_body_are_their_line() {
    check(b"SUB t c\n", CONNECTED, Command::Sub { topic: topic(), channel: "c".parse().unwrap() });
    check(b"NOP\n", CONNECTED, Command::Nop);
    check(b"NOP\r\n", CONNECTED, Command::Nop);
    check(b"NOP surplus words\n", CONNECTED, Command::Nop);
    check(b"CLS\n", SUBSCRIBED, Command::Cls);
    check(b"RDY 2500\n", SUBSCRIBED, Command::Rdy(2_500));
    check(b"RDY\n", SUBSCRIBED, Command::Rdy(1));
    check(b"RDY \n", SUBSCRIBED, Command::Rdy(0));
    check(b"RDY nonsense\n", CLOSING, Command::Nop);
    check(format!("FIN {ID}\n").as_bytes(), SUBSCRIBED, Command::Fin(id()));
    check(format!("TOUCH {ID}\n").as_bytes(), CLOSING, Command::Touch(id()));
    let hour = Duration::from_secs(3_600);
    check(format!("REQ {ID} 0\n").as_bytes(), SUBSCRIBED, Command::Req { id: id(), delay: Duration::ZERO });
    check(format!("REQ {ID} 99999999\n").as_bytes(), CLOSING, Command::Req { id: id(), delay: hour });
}

#[test]
fn commands_with_a_body_wait_for_it() {
    let body = Bytes::from_static(b"body");
    check(b"IDENTIFY\n\0\0\0\x04body", CONNECTED, Command::Identify(body.clone()));
    check(b"AUTH\n\0\0\0\x04body", CONNECTED, Command::Auth(body.clone()));
    check(b"PUB t\n\0\0\0\x04body", SUBSCRIBED, Command::Pub { topic: topic(), body: body.clone() });
    let delay = Duration::from_millis(1_500);
    let deferred = Command::Dpub { topic: topic(), delay, body: body.clone() };
    check(b"DPUB t 1500\n\0\0\0\x04body", CLOSING, deferred);
    let several = Command::Mpub { topic: topic(), bodies: [&b"body"[..], b"x"].into_iter().collect() };
    check(b"MPUB t\n\0\0\0\x11\0\0\0\x02\0\0\0\x04body\0\0\0\x01x", CONNECTED, several);
    for incomplete in
        [&b"PUB t"[..], b"PUB t\n\0\0", b"PUB t\n\0\0\0\x04bod", b"MPUB t\n\0\0\0\x09\0\0\0\x01"]
    {
        assert_eq!(read(incomplete, CONNECTED), Ok(None));
    }
}

#[test]
fn an_mpub_ends_where_its_count_says_not_its_size() {
    let mut input = BytesMut::from(&b"MPUB t\n\0\0\0\x30\0\0\0\x01\0\0\0\x01xNOP\n"[..]);
    let mut reader = CommandReader::default();
    let first = reader.next(&mut input, CONNECTED, &limits());
    assert_eq!(first, Ok(Some(Command::Mpub { topic: topic(), bodies: [b"x"].into_iter().collect() })));
    assert_eq!(reader.next(&mut input, CONNECTED, &limits()), Ok(Some(Command::Nop)));
}

#[test]
fn a_command_in_the_wrong_state_is_refused_before_its_parameters_are_looked_at() {
    for command in ["IDENTIFY", "AUTH", "SUB"] {
        let line = format!("{command}\n");
        refused(line.as_bytes(), SUBSCRIBED, &format!("E_INVALID cannot {command} in current state"));
        refused(line.as_bytes(), CLOSING, &format!("E_INVALID cannot {command} in current state"));
    }
    for command in ["RDY", "FIN", "REQ", "TOUCH", "CLS"] {
        let line = format!("{command} nonsense\n");
        refused(line.as_bytes(), CONNECTED, &format!("E_INVALID cannot {command} in current state"));
    }
    refused(b"CLS\n", CLOSING, "E_INVALID cannot CLS in current state");
    let silent = Standing { heartbeats: false, ..CONNECTED };
    refused(b"SUB\n", silent, "E_INVALID cannot SUB with heartbeats disabled");
}

#[test]
fn without_the_tls_that_is_demanded_only_identify_is_allowed() {
    let plain = Standing { lacks_tls: true, ..CONNECTED };
    refused(b"PUB\n", plain, "E_INVALID cannot PUB in current state (TLS required)");
    refused(b"WHAT\n", plain, "E_INVALID cannot WHAT in current state (TLS required)");
    check(b"IDENTIFY\n\0\0\0\x01x", plain, Command::Identify(Bytes::from_static(b"x")));
}

#[test]
fn a_publish_may_be_put_off_for_longer_than_a_requeue() {
    let limits = Limits { max_publish_delay: Duration::from_secs(7_200), ..limits() };
    let read = |line: &str| {
        let mut input = BytesMut::from(line);
        CommandReader::default().next(&mut input, SUBSCRIBED, &limits)
    };
    let delay = Duration::from_secs(7_200);
    let deferred = Command::Dpub { topic: topic(), delay, body: Bytes::from_static(b"x") };
    assert_eq!(read("DPUB t 7200000\n\0\0\0\x01x"), Ok(Some(deferred)));
    let error = read("DPUB t 7200001\n").expect_err("the delay is too long").answer();
    assert_eq!(error.as_deref(), Some("E_INVALID DPUB timeout 7200001 out of range 0-7200000"));
    let requeue = Command::Req { id: id(), delay: Duration::from_secs(3_600) };
    assert_eq!(read(&format!("REQ {ID} 7200000\n")), Ok(Some(requeue)));
}

#[test]
fn wrong_names_and_parameters_are_named() {
    refused(b"what now\n", CONNECTED, "E_INVALID invalid command what");
    refused(b"\n", CONNECTED, "E_INVALID invalid command ");
    refused(b"pub t\n", CONNECTED, "E_INVALID invalid command pub");
    refused(b"AUTH x\n", CONNECTED, "E_INVALID AUTH invalid number of parameters");
    refused(b"SUB b@d\n", CONNECTED, "E_INVALID SUB insufficient number of parameters");
    refused(b"PUB\n", CONNECTED, "E_INVALID PUB insufficient number of parameters");
    refused(b"MPUB\n", CONNECTED, "E_INVALID MPUB insufficient number of parameters");
    refused(b"DPUB t\n", CONNECTED, "E_INVALID DPUB insufficient number of parameters");
    refused(b"SUB b@d c\n", CONNECTED, r#"E_BAD_TOPIC SUB topic name "b@d" is not valid"#);
    refused(b"SUB t  c\n", CONNECTED, r#"E_BAD_CHANNEL SUB channel name "" is not valid"#);
    refused(b"PUB a\"b\n", CONNECTED, r#"E_BAD_TOPIC PUB topic name "a\"b" is not valid"#);
    refused(b"MPUB b@d\n", CONNECTED, r#"E_BAD_TOPIC E_BAD_TOPIC MPUB topic name "b@d" is not valid"#);
    refused(b"DPUB t -1\n", CONNECTED, "E_INVALID DPUB could not parse timeout -1");
    refused(b"DPUB t 3600001\n", CONNECTED, "E_INVALID DPUB timeout 3600001 out of range 0-3600000");
    refused(b"RDY x\n", SUBSCRIBED, "E_INVALID RDY could not parse count x");
    refused(b"RDY 2501\n", SUBSCRIBED, "E_INVALID RDY count 2501 out of range 0-2500");
    let overflow = b"RDY 99999999999999999999\n";
    refused(overflow, SUBSCRIBED, "E_INVALID RDY could not parse count 99999999999999999999");
    refused(b"FIN\n", SUBSCRIBED, "E_INVALID FIN insufficient number of params");
    refused(b"FIN short\n", SUBSCRIBED, "E_INVALID invalid message ID");
    refused(b"TOUCH\n", CLOSING, "E_INVALID TOUCH insufficient number of params");
    refused(b"REQ short\n", SUBSCRIBED, "E_INVALID REQ insufficient number of params");
    refused(b"REQ short x\n", SUBSCRIBED, "E_INVALID invalid message ID");
    let requeue = format!("REQ {ID} -1\n");
    refused(requeue.as_bytes(), SUBSCRIBED, "E_INVALID REQ could not parse timeout -1");
}

#[test]
fn a_size_out_of_range_is_refused_without_waiting_for_what_it_counts() {
    refused(b"IDENTIFY\n\0\0\0\0", CONNECTED, "E_BAD_BODY IDENTIFY invalid body size 0");
    refused(b"IDENTIFY\n\0\0\0\x37", CONNECTED, "E_BAD_BODY IDENTIFY body too big 55 > 54");
    refused(b"AUTH\n\xff\xff\xff\xff", CONNECTED, "E_BAD_BODY AUTH invalid body size -1");
    refused(b"PUB t\n\0\0\0\0", CONNECTED, "E_BAD_MESSAGE PUB invalid message body size 0");
    refused(b"PUB t\n\0\0\0\x15", CONNECTED, "E_BAD_MESSAGE PUB message too big 21 > 20");
    refused(b"DPUB t 0\n\x80\0\0\0", CONNECTED, "E_BAD_MESSAGE DPUB invalid message body size -2147483648");
    refused(b"MPUB t\n\0\0\0\0", CONNECTED, "E_BAD_BODY MPUB invalid body size 0");
    refused(b"MPUB t\n\x7f\xff\xff\xff", CONNECTED, "E_BAD_BODY MPUB body too big 2147483647 > 54");
    refused(b"MPUB t\n\0\0\0\x20\0\0\0\0", CONNECTED, "E_BAD_BODY MPUB invalid message count 0");
    // (54 - 4) / 5 messages of one byte fit.
    refused(b"MPUB t\n\0\0\0\x20\0\0\0\x0b", CONNECTED, "E_BAD_BODY MPUB invalid message count 11");
    let second_empty = b"MPUB t\n\0\0\0\x20\0\0\0\x02\0\0\0\x01x\0\0\0\0";
    refused(second_empty, CONNECTED, "E_BAD_MESSAGE MPUB invalid message(1) body size 0");
    let too_big = b"MPUB t\n\0\0\0\x20\0\0\0\x01\0\0\0\x15";
    refused(too_big, CONNECTED, "E_BAD_MESSAGE MPUB message too big 21 > 20");
}

#[test]
fn an_mpub_cannot_hold_more_than_the_body_limit_whatever_its_size_says() {
    let mut input = b"MPUB t\n\0\0\0\x05\0\0\0\x03".to_vec();
    for _ in 0..3 {
        input.extend_from_slice(b"\0\0\0\x14");
        input.extend_from_slice(&[b'x'; 20]);
    }
    refused(&input, CONNECTED, "E_BAD_BODY MPUB body too big 76 > 54");
}

#[test]
fn a_line_without_end_closes_the_connection_without_an_answer() {
    let mut line = vec![b'x'; MAX_LINE_BYTES - 1];
    assert_eq!(read(&line, CONNECTED), Ok(None));
    line.push(b'x');
    let error = read(&line, CONNECTED).expect_err("the line is too long");
    assert_eq!((error.answer(), error.is_fatal()), (None, true));
    *line.last_mut().unwrap() = b'\n';
    assert!(matches!(read(&line, CONNECTED), Err(ProtocolError::UnknownCommand(_))));
}

/// What is answered when the input ends here.
#[track_caller]
fn ends(input: &[u8], expect: Option<&str>) {
    let mut reader = CommandReader::default();
    assert_eq!(reader.next(&mut BytesMut::from(input), CONNECTED, &limits()), Ok(None));
    assert_eq!(reader.at_end().and_then(|error| error.answer()).as_deref(), expect);
}

#[test]
fn an_end_within_a_body_is_told_from_one_between_commands() {
    ends(b"", None);
    ends(b"PUB", None);
    ends(b"IDENTIFY\n", Some("E_BAD_BODY IDENTIFY failed to read body size"));
    ends(b"AUTH\n\0\0\0\x02x", Some("E_BAD_BODY AUTH failed to read body"));
    ends(b"PUB t\n\0", Some("E_BAD_MESSAGE PUB failed to read message body size"));
    ends(b"DPUB t 1\n\0\0\0\x02x", Some("E_BAD_MESSAGE DPUB failed to read message body"));
    ends(b"MPUB t\n", Some("E_BAD_BODY MPUB failed to read body size"));
    ends(b"MPUB t\n\0\0\0\x20", Some("E_BAD_BODY MPUB failed to read message count"));
    let item = "E_BAD_MESSAGE MPUB failed to read message(1) body size";
    ends(b"MPUB t\n\0\0\0\x20\0\0\0\x02\0\0\0\x01x", Some(item));
    ends(b"MPUB t\n\0\0\0\x20\0\0\0\x02\0\0\0\x02x", Some("E_BAD_MESSAGE MPUB failed to read message body"));
}

fn any_body() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 1..50).prop_map(Bytes::from)
}

/// Any command, with the standing in which it is allowed.
fn any_command() -> impl Strategy<Value = (Command, Standing)> {
    let id = || "[a-z0-9]{16}".prop_map(|id| id.parse::<MessageId>().unwrap());
    let name = "[.a-zA-Z0-9_-]{1,54}(#ephemeral)?";
    let topic = move || name.prop_map(|name| name.parse::<TopicName>().unwrap());
    let delay = || (0_u64..=3_600_000).prop_map(Duration::from_millis);
    let bodies = proptest::collection::vec(any_body(), 1..5);
    let connected = prop_oneof![
        any_body().prop_map(Command::Identify),
        any_body().prop_map(Command::Auth),
        (topic(), name)
            .prop_map(|(topic, channel)| Command::Sub { topic, channel: channel.parse().unwrap() }),
        (topic(), any_body()).prop_map(|(topic, body)| Command::Pub { topic, body }),
        (topic(), bodies)
            .prop_map(|(topic, bodies)| Command::Mpub { topic, bodies: bodies.iter().collect() }),
        (topic(), delay(), any_body()).prop_map(|(topic, delay, body)| Command::Dpub { topic, delay, body }),
        Just(Command::Nop),
    ];
    let subscribed = prop_oneof![
        (0_u32..=2_500).prop_map(Command::Rdy),
        id().prop_map(Command::Fin),
        (id(), delay()).prop_map(|(id, delay)| Command::Req { id, delay }),
        id().prop_map(Command::Touch),
        Just(Command::Cls),
    ];
    prop_oneof![
        connected.prop_map(|command| (command, CONNECTED)),
        subscribed.prop_map(|command| (command, SUBSCRIBED)),
    ]
}

proptest! {
    #[test]
    fn a_command_survives_the_wire_split_at_any_byte(
        (command, standing) in any_command(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut bytes = BytesMut::new();
        command.encode(&mut bytes);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let (mut reader, mut input, mut start) = (CommandReader::default(), BytesMut::new(), 0);
        let mut read = None;
        for cut in cuts {
            prop_assert!(read.is_none() || start == cut);
            input.extend_from_slice(&bytes[start..cut]);
            start = cut;
            read = read.or(reader.next(&mut input, standing, &Limits::default())?);
        }
        prop_assert_eq!(read, Some(command));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        start in "(PUB t\n|MPUB t\n|DPUB t 1\n|IDENTIFY\n|AUTH\n)?",
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        for standing in [CONNECTED, SUBSCRIBED, CLOSING] {
            let mut input = BytesMut::from(start.as_bytes());
            input.extend_from_slice(&bytes);
            let mut reader = CommandReader::default();
            while let Ok(Some(_)) = reader.next(&mut input, standing, &limits()) {}
            let _any_answer_will_do = reader.at_end();
        }
    }
}
