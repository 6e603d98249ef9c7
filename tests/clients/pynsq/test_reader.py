"""pynsq's Reader."""

import ssl
import time

import pytest
from conftest import Nsqd, connect
from nsq import protocol
from nsq.reader import Reader
from tornado.locks import Event

OPTIONS = {
    "plain": {},
    "tls and snappy": {"tls_v1": True, "tls_options": {"cert_reqs": ssl.CERT_NONE}, "snappy": True},
    "tls and deflate": {"tls_v1": True, "tls_options": {"cert_reqs": ssl.CERT_NONE}, "deflate": True},
}


async def publish(topic, bodies):
    connection, events, _ = await connect()
    for body in bodies:
        connection.send(protocol.pub(topic, body))
    for _ in bodies:
        assert (await events.next("response"))["data"] == b"OK"


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_a_reader_gets_all_there_is(nsqd, run, options):
    async def scenario():
        bodies = {b"message %d" % number for number in range(500)}
        await publish("all", bodies)
        left, done = set(bodies), Event()

        def handle(message):
            left.remove(message.body)
            if not left:
                done.set()
            return True

        settings = {"heartbeat_interval": 10, "output_buffer_size": 4096, "output_buffer_timeout": 50, **options}
        reader = Reader("all", "ch", handle, nsqd_tcp_addresses=[Nsqd.tcp_address], max_in_flight=100, **settings)
        await done.wait()
        reader.close()

    run(scenario)


def test_a_reader_that_fails_backs_off_and_gets_it_again(nsqd, run):
    async def scenario():
        await publish("failing", [b"1", b"2", b"3"])
        attempts, done = {}, Event()

        def handle(message):
            attempts[message.body] = message.attempts
            if message.attempts == 1:
                return False
            if sorted(attempts.values()) == [2, 2, 2]:
                done.set()
            return True

        reader = Reader(
            "failing", "ch", handle, nsqd_tcp_addresses=[Nsqd.tcp_address], max_in_flight=3,
            requeue_delay=0, max_backoff_duration=0.2,
        )
        await done.wait()
        reader.close()

    run(scenario)


def test_a_reader_gives_up_after_as_many_tries_as_it_wants(nsqd, run):
    async def scenario():
        await publish("hopeless", [b"x"])
        given_up = Event()

        class Hopeful(Reader):
            def giving_up(self, message):
                assert message.attempts == 3
                given_up.set()

        reader = Hopeful(
            "hopeless", "ch", lambda message: False, nsqd_tcp_addresses=[Nsqd.tcp_address], max_tries=2,
            requeue_delay=0, max_backoff_duration=0.2,
        )
        await given_up.wait()
        reader.close()

    run(scenario)


def test_a_reader_is_kept_alive_by_heartbeats(nsqd, run):
    async def scenario():
        beats, enough = [], Event()

        class Living(Reader):
            def heartbeat(self, conn):
                beats.append(time.monotonic())
                if len(beats) == 3:
                    enough.set()

        reader = Living("quiet", "ch", lambda message: True, nsqd_tcp_addresses=[Nsqd.tcp_address], heartbeat_interval=1)
        await enough.wait()
        reader.close()

    run(scenario)


def test_a_reader_finds_the_topic_through_a_lookup(daemons, run):
    daemons("nsqlookupd", 4161, "-broadcast-address=127.0.0.1")
    daemons("nsqd", 4151, "-lookupd-tcp-address=127.0.0.1:4160", "-broadcast-address=127.0.0.1")

    async def scenario():
        await publish("listed", [b"sup"])
        got = Event()

        def handle(message):
            assert message.body == b"sup"
            got.set()
            return True

        reader = Reader(
            "listed", "ch", handle, lookupd_http_addresses=["http://127.0.0.1:4161"],
            lookupd_poll_interval=1, lookupd_poll_jitter=0.01, max_in_flight=100,
        )
        await got.wait()
        reader.close()

    run(scenario)
