"""Daemons by NSQ's names from PATH, on NSQ's ports, and an event loop for each test."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from datetime import timedelta

import pytest
from nsq.conn import AsyncConn
from tornado.ioloop import IOLoop
from tornado.queues import Queue

PATIENCE = 15


class Nsqd:
    """A running nsqd."""

    host, tcp_port = "127.0.0.1", 4150
    tcp_address = "127.0.0.1:4150"

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:4151{path}", timeout=PATIENCE) as answer:
            return answer.read()

    def post(self, path, body=b""):
        request = urllib.request.Request(f"http://127.0.0.1:4151{path}", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()


def wait_for_ping(process, port):
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, f"it ended with {process.returncode}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1) as answer:
                assert answer.read() == b"OK"
                return
        except urllib.error.URLError:
            assert time.monotonic() < deadline, "/ping is never answered"
            time.sleep(0.02)


@pytest.fixture
def daemons(tmp_path):
    """Starts daemons in a directory of the test's own; they are killed at its end, as pynsq's own tests do."""
    processes = []

    def start(name, port, *flags):
        process = subprocess.Popen([name, "--verbose", *flags], cwd=tmp_path)
        processes.append(process)
        wait_for_ping(process, port)

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def start_nsqd(daemons):
    def start(*flags):
        daemons("nsqd", 4151, *flags)
        return Nsqd()

    return start


@pytest.fixture
def nsqd(start_nsqd):
    """One with a certificate, as pynsq's own tests start it."""
    flags = ["--snappy", "--deflate"]
    if "TEST_TLS_CERT" in os.environ:
        flags += [f"--tls-cert={os.environ['TEST_TLS_CERT']}", f"--tls-key={os.environ['TEST_TLS_KEY']}"]
    return start_nsqd(*flags)


class Events:
    """What a connection tells, in order: pairs of an event's name and what came with it."""

    NAMES = ["ready", "identify_response", "auth_response", "response", "message", "error", "heartbeat", "close"]

    def __init__(self, connection):
        self.queue = Queue()
        for name in self.NAMES:
            connection.on(name, self.teller(name))

    def teller(self, name):
        def tell(**what):
            self.queue.put_nowait((name, what))

        return tell

    async def next(self, name, patience=PATIENCE):
        """The next event of this name; others are passed over, but an error that is not asked for fails."""
        while True:
            got, what = await self.queue.get(timeout=timedelta(seconds=patience))
            if got == name:
                return what
            assert got != "error", what
            assert got != "close", "the connection was closed"


@pytest.fixture
def loop():
    loop = IOLoop(make_current=True)
    yield loop
    loop.clear_current()
    loop.close(all_fds=True)


@pytest.fixture
def run(loop):
    """Runs a coroutine to its end."""
    return lambda coroutine: loop.run_sync(coroutine, timeout=4 * PATIENCE)


async def connect(**options):
    """A connection that is set up, its events, and the answer to its IDENTIFY."""
    connection = AsyncConn(Nsqd.host, Nsqd.tcp_port, **options)
    events = Events(connection)
    connection.connect()
    answer = (await events.next("identify_response"))["data"]
    await events.next("ready")
    return connection, events, answer
