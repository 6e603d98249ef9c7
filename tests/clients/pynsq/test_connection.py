"""pynsq's AsyncConn."""

import json
import ssl

import pytest
from conftest import connect
from nsq import protocol
from nsq.deflate_socket import DeflateSocket
from nsq.snappy_socket import SnappySocket

TLS = {"tls_v1": True, "tls_options": {"cert_reqs": ssl.CERT_NONE}}
LAYERS = {
    "plain": {},
    "snappy": {"snappy": True},
    "deflate": {"deflate": True, "deflate_level": 6},
    "tls": TLS,
    "tls and snappy": {**TLS, "snappy": True},
    "tls and deflate": {**TLS, "deflate": True, "deflate_level": 3},
}
in_every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())


async def publish(connection, events, topic, *bodies):
    for body in bodies:
        connection.send(protocol.pub(topic, body))
    for _ in bodies:
        assert (await events.next("response"))["data"] == b"OK"


async def subscribe(connection, events, topic, ready):
    connection.send(protocol.subscribe(topic, "ch"))
    assert (await events.next("response"))["data"] == b"OK"
    connection.send_rdy(ready)


def test_what_is_granted_is_in_the_answer_to_identify(nsqd, run):
    async def scenario():
        options = {"heartbeat_interval": 10, "output_buffer_size": 4096, "output_buffer_timeout": 50}
        _, _, answer = await connect(user_agent="sup", msg_timeout=5, sample_rate=7, **options)
        assert answer["max_rdy_count"] == 2500
        assert answer["msg_timeout"] == 5000
        assert answer["max_msg_timeout"] == 900000
        assert answer["output_buffer_size"] == 4096
        assert answer["output_buffer_timeout"] == 50
        assert answer["sample_rate"] == 7
        assert answer["auth_required"] is False
        assert not answer["tls_v1"] and not answer["snappy"] and not answer["deflate"]

    run(scenario)


@in_every_layer
def test_what_is_asked_for_is_granted_and_in_force(nsqd, run, layer):
    async def scenario():
        connection, events, answer = await connect(**layer)
        for feature in ["tls_v1", "snappy", "deflate"]:
            assert answer[feature] is bool(layer.get(feature))
        below = connection.socket
        if "snappy" in layer or "deflate" in layer:
            assert isinstance(below, SnappySocket if "snappy" in layer else DeflateSocket)
            below = below._socket
        assert isinstance(below, ssl.SSLSocket) is ("tls_v1" in layer)
        await subscribe(connection, events, "layers", 1)
        stats = json.loads(nsqd.get("/stats?format=json&topic=layers"))
        (client,) = stats["topics"][0]["channels"][0]["clients"]
        assert client["snappy"] is ("snappy" in layer)
        assert client["deflate"] is ("deflate" in layer)
        assert client["tls"] is ("tls_v1" in layer)

    run(scenario)


@in_every_layer
def test_messages_of_all_sizes_go_both_ways(nsqd, run, layer):
    bodies = [b"x", b"sup" * 1000, bytes(range(256)) * 400, b"\0" * 1024 * 1024]

    async def scenario():
        connection, events, _ = await connect(**layer)
        await publish(connection, events, "sizes", *bodies)
        await subscribe(connection, events, "sizes", len(bodies))
        for _ in bodies:
            message = (await events.next("message"))["message"]
            assert message.body in bodies and message.attempts == 1
            message.finish()

    run(scenario)


@in_every_layer
def test_five_hundred_messages_arrive_once_each(nsqd, run, layer):
    bodies = [b"message %d" % number for number in range(500)]

    async def scenario():
        connection, events, _ = await connect(**layer)
        await publish(connection, events, "many", *bodies)
        await subscribe(connection, events, "many", 100)
        got = []
        for _ in bodies:
            message = (await events.next("message"))["message"]
            got.append(message.body)
            message.finish()
        assert sorted(got) == sorted(bodies)

    run(scenario)


def test_rdy_is_a_ceiling_on_what_is_in_flight(nsqd, run):
    async def scenario():
        connection, events, _ = await connect()
        await publish(connection, events, "ceiling", b"1", b"2", b"3")
        await subscribe(connection, events, "ceiling", 2)
        first = (await events.next("message"))["message"]
        await events.next("message")
        assert connection.in_flight == 2
        stats = json.loads(nsqd.get("/stats?format=json&topic=ceiling"))["topics"][0]["channels"][0]
        assert (stats["in_flight_count"], stats["depth"]) == (2, 1)
        first.finish()
        await events.next("message")

    run(scenario)


def test_a_message_that_is_given_back_comes_again_and_is_counted(nsqd, run):
    async def scenario():
        connection, events, _ = await connect()
        await publish(connection, events, "again", b"x")
        await subscribe(connection, events, "again", 1)
        for attempt, delay_ms in [(1, 0), (2, 100), (3, 0)]:
            message = (await events.next("message"))["message"]
            assert message.attempts == attempt
            message.requeue(time_ms=delay_ms)
        assert (await events.next("message"))["message"].attempts == 4

    run(scenario)


def test_a_message_that_is_held_too_long_comes_again(nsqd, run):
    async def scenario():
        connection, events, answer = await connect(msg_timeout=1)
        assert answer["msg_timeout"] == 1000
        await publish(connection, events, "slow", b"x")
        await subscribe(connection, events, "slow", 1)
        late = (await events.next("message"))["message"]
        message = (await events.next("message"))["message"]
        assert (message.id, message.attempts) == (late.id, 2)
        message.touch()
        message.finish()
        late.finish()
        assert (await events.next("error"))["error"].args[0].startswith(b"E_FIN_FAILED")

    run(scenario)


def test_heartbeats_are_answered_for_as_long_as_it_takes(nsqd, run):
    async def scenario():
        connection, events, _ = await connect(heartbeat_interval=1)
        for _ in range(3):
            await events.next("heartbeat")
        await publish(connection, events, "alive", b"x")

    run(scenario)


def test_a_wrong_name_is_said_and_ends_the_connection(nsqd, run):
    async def scenario():
        connection, events, _ = await connect()
        connection.send(b"SUB b@d ch\n")
        error = (await events.next("error"))["error"]
        assert error.args[0] == b'E_BAD_TOPIC SUB topic name "b@d" is not valid'
        await events.next("close")

    run(scenario)


def test_cls_is_answered_and_what_is_in_flight_can_still_be_finished(nsqd, run):
    async def scenario():
        connection, events, _ = await connect()
        await publish(connection, events, "closing", b"1", b"2")
        await subscribe(connection, events, "closing", 1)
        message = (await events.next("message"))["message"]
        connection.send(b"CLS\n")
        assert (await events.next("response"))["data"] == b"CLOSE_WAIT"
        message.finish()
        await publish(connection, events, "elsewhere", b"so that the FIN has been read")
        stats = json.loads(nsqd.get("/stats?format=json&topic=closing"))["topics"][0]["channels"][0]
        assert (stats["in_flight_count"], stats["depth"]) == (0, 1)

    run(scenario)
