"""pynsq's Writer."""

import json
import time

from conftest import Nsqd
from nsq import protocol
from nsq.writer import Writer
from tornado.concurrent import Future
from tornado import gen


async def a_writer(**options):
    writer = Writer([Nsqd.tcp_address], reconnect_interval=0.2, **options)
    while not writer.conns:
        await gen.sleep(0.01)
    return writer


def outcome(send, *args):
    """What the node answers to a publish."""
    answered = Future()

    def answer(conn, data):
        # After a refusal the connection ends, and that is told too.
        if not answered.done():
            answered.set_result(data)

    send(*args, callback=answer)
    return answered


def test_publishes_are_answered_in_order_and_counted(nsqd, run):
    async def scenario():
        writer = await a_writer()
        answers = [outcome(writer.pub, "written", b"%d" % number) for number in range(100)]
        answers.append(outcome(writer.mpub, "written", [b"a", b"b", b"c"]))
        assert await gen.multi(answers) == [b"OK"] * 101
        (topic,) = json.loads(nsqd.get("/stats?format=json&topic=written"))["topics"]
        assert (topic["message_count"], topic["depth"]) == (103, 103)

    run(scenario)


def test_a_deferred_message_comes_when_it_is_due(nsqd, run):
    nsqd.post("/topic/create?topic=later")
    nsqd.post("/channel/create?topic=later&channel=ch")

    async def scenario():
        writer = await a_writer()
        published, seen = time.monotonic(), []
        assert await outcome(writer.dpub, "later", 300, b"x") == b"OK"
        while time.monotonic() - published < 10:
            (channel,) = json.loads(nsqd.get("/stats?format=json&topic=later"))["topics"][0]["channels"]
            if channel["depth"] == 1:
                break
            seen.append(channel["deferred_count"])
        assert channel["depth"] == 1 and time.monotonic() - published >= 0.3
        assert set(seen) <= {1}

    run(scenario)


def test_a_refused_publish_is_told_and_the_writer_comes_back(nsqd, run):
    async def scenario():
        writer = await a_writer()
        refusal = await outcome(writer.pub, "b@d", b"x")
        assert isinstance(refusal, protocol.Error)
        assert refusal.args[0] == b'E_BAD_TOPIC PUB topic name "b@d" is not valid'
        while writer.conns:
            await gen.sleep(0.01)
        while not writer.conns:
            await gen.sleep(0.01)
        assert await outcome(writer.pub, "good", b"x") == b"OK"

    run(scenario)


def test_a_message_too_big_is_refused(nsqd, run):
    async def scenario():
        writer = await a_writer()
        refusal = await outcome(writer.pub, "big", b"x" * (1024 * 1024 + 1))
        assert isinstance(refusal, (protocol.Error, protocol.ConnectionClosedError))

    run(scenario)
