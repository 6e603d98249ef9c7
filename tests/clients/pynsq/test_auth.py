"""pynsq against an nsqd that asks an auth server, which is in the test itself, as in pynsq's own tests."""

import pytest
import tornado.httpserver
import tornado.testing
import tornado.web
from conftest import Events, Nsqd, connect
from nsq import protocol
from nsq.conn import AsyncConn


class AuthServer(tornado.web.RequestHandler):
    def get(self):
        if self.get_argument("secret") != "opensesame":
            return self.set_status(403)
        grant = {"permissions": ["subscribe"], "topic": "^allowed$", "channels": ["^ch$"]}
        self.finish({"ttl": 30, "identity": "somebody", "authorizations": [grant]})


@pytest.fixture
def guarded(loop, start_nsqd):
    socket, port = tornado.testing.bind_unused_port()
    server = tornado.httpserver.HTTPServer(tornado.web.Application([("/auth", AuthServer)]))
    server.add_socket(socket)
    yield start_nsqd(f"--auth-http-address=127.0.0.1:{port}")
    server.stop()


def test_who_knows_the_secret_may_subscribe_to_what_is_granted(guarded, run):
    async def scenario():
        connection, events, answer = await connect(auth_secret="opensesame")
        assert answer["auth_required"] is True
        connection.send(protocol.subscribe("allowed", "ch"))
        assert (await events.next("response"))["data"] == b"OK"

    run(scenario)


def test_what_is_not_granted_is_refused(guarded, run):
    async def scenario():
        connection, events, _ = await connect(auth_secret="opensesame")
        connection.send(protocol.pub("allowed", b"x"))
        error = (await events.next("error"))["error"]
        assert error.args[0] == b'E_UNAUTHORIZED AUTH failed for PUB on "allowed" ""'
        await events.next("close")

    run(scenario)


def test_a_wrong_secret_is_refused(guarded, run):
    async def scenario():
        connection = AsyncConn(Nsqd.host, Nsqd.tcp_port, auth_secret="a guess")
        events = Events(connection)
        connection.connect()
        error = (await events.next("error"))["error"]
        assert error.args[0] == b"E_AUTH_FAILED AUTH failed"

    run(scenario)


def test_without_a_secret_nothing_is_allowed(guarded, run):
    async def scenario():
        connection, events, _ = await connect()
        connection.send(protocol.subscribe("allowed", "ch"))
        error = (await events.next("error"))["error"]
        assert error.args[0] == b"E_AUTH_FIRST AUTH required before SUB"

    run(scenario)
