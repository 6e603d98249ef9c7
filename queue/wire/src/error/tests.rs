use super::*;

#[track_caller]
fn check(error: &ProtocolError, fatal: bool, expect: &str) {
    assert_eq!(error.answer().as_deref(), Some(expect));
    assert_eq!(error.is_fatal(), fatal, "{expect}");
}

/// The errors that the parser cannot find; its own are in its tests.
#[test]
fn what_a_node_answers_is_what_nsqs_clients_compare() {
    let id = MessageId(*b"0123456789abcdef");
    let not_held = |command, reason| ProtocolError::NotHeld { command, id, reason };
    let finished = not_held(CommandName::Fin, NotHeld::NotInFlight);
    check(&finished, false, "E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight");
    let requeued = not_held(CommandName::Req, NotHeld::OtherOwner);
    check(&requeued, false, "E_REQ_FAILED REQ 0123456789abcdef failed client does not own message");
    let touched = not_held(CommandName::Touch, NotHeld::NotInFlight);
    check(&touched, false, "E_TOUCH_FAILED TOUCH 0123456789abcdef failed ID not in flight");

    check(&ProtocolError::BadProtocol, true, "E_BAD_PROTOCOL");
    let unstored = |command| ProtocolError::PublishFailed { command, reason: "disk full".to_owned() };
    check(&unstored(CommandName::Pub), true, "E_PUB_FAILED PUB failed disk full");
    check(&unstored(CommandName::Mpub), true, "E_MPUB_FAILED MPUB failed disk full");
    check(&unstored(CommandName::Dpub), true, "E_DPUB_FAILED DPUB failed disk full");

    let (topic, channel): (TopicName, ChannelName) = ("t".parse().unwrap(), "c".parse().unwrap());
    let full =
        SubscribeRefusal::TooManyConsumers { topic: topic.clone(), channel: channel.clone(), limit: 1 };
    check(
        &ProtocolError::SubscribeFailed(full),
        true,
        "E_SUB_FAILED SUB failed consumers for t:c exceeds limit of 1",
    );
    check(
        &ProtocolError::SubscribeFailed(SubscribeRefusal::Exiting),
        true,
        "E_SUB_FAILED SUB failed exiting",
    );
    check(
        &ProtocolError::SubscribeFailed(SubscribeRefusal::Deleted),
        true,
        "E_SUB_FAILED SUB failed to deleted topic/channel",
    );

    check(&ProtocolError::AuthFirst(CommandName::Pub), true, "E_AUTH_FIRST AUTH required before PUB");
    check(&ProtocolError::AuthDisabled, true, "E_AUTH_DISABLED AUTH disabled");
    check(&ProtocolError::AuthRepeated, true, "E_INVALID AUTH already set");
    check(&ProtocolError::AuthFailed, true, "E_AUTH_FAILED AUTH failed");
    check(&ProtocolError::NoAuthorizations, true, "E_UNAUTHORIZED AUTH no authorizations found");
    let publishing =
        ProtocolError::Unauthorized { command: CommandName::Pub, topic: topic.clone(), channel: None };
    check(&publishing, true, r#"E_UNAUTHORIZED AUTH failed for PUB on "t" """#);
    let subscribing =
        ProtocolError::Unauthorized { command: CommandName::Sub, topic, channel: Some(channel) };
    check(&subscribing, true, r#"E_UNAUTHORIZED AUTH failed for SUB on "t" "c""#);
    check(
        &ProtocolError::BothCompressions,
        true,
        "E_IDENTIFY_FAILED cannot enable both deflate and snappy compression",
    );
    check(
        &ProtocolError::UpgradeFailed("handshake".to_owned()),
        true,
        "E_IDENTIFY_FAILED IDENTIFY failed handshake",
    );
}
