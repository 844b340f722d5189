"""Clients that do not get what they asked for, because it is too much: client-output-buffer-limit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.servers import ServerProcess, start_gossamer

LIMIT = 100_000


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    server = start_gossamer("redis:7.0", "--client-output-buffer-limit", f"normal {LIMIT} 0 0")
    yield server
    server.stop()


def fill(server: ServerProcess) -> None:
    with server.client() as client:
        client.pipeline([("DEL", "list"), *[("RPUSH", "list", "x" * 1000) for _ in range(150)]])
        client.pipeline([("HSET", "hash", "f", "v"), ("SADD", "set", "m"), ("ZADD", "zset", "1", "m")])


@pytest.mark.parametrize(
    "request_words",
    [
        ("LRANGE", "list", "0", "-1"),
        ("HRANDFIELD", "hash", "-999999999"),
        ("SRANDMEMBER", "set", "-999999999"),
        ("ZRANDMEMBER", "zset", "-999999999"),
    ],
)
def test_a_reply_beyond_the_limit_closes_the_client_instead_of_growing(
    server: ServerProcess, request_words: tuple[str, ...]
) -> None:
    fill(server)
    with server.client() as client, pytest.raises(OSError):
        client.call(*request_words)
    with server.client() as client:
        assert client.call("PING").plain() == b"PONG"


def test_a_transaction_runs_to_its_end_although_its_replies_are_too_many(server: ServerProcess) -> None:
    fill(server)
    with server.client() as client:
        client.pipeline([("MULTI",), ("LRANGE", "list", "0", "-1"), ("SET", "after", "done")])
        with pytest.raises(OSError):
            client.call("EXEC")
    with server.client() as client:
        assert client.call("GET", "after").plain() == b"done"


def test_a_pipeline_ends_where_its_replies_pass_the_limit(server: ServerProcess) -> None:
    fill(server)
    with server.client() as client:
        client.pipeline([("SET", "big", "x" * 10_000), ("DEL", "after")])
        words = b"GET big\r\n" * 15 + b"SET after done\r\n"
        client.send_raw(words)
        with pytest.raises(OSError):
            client.read(5.0)
    with server.client() as client:
        assert client.call("EXISTS", "after").plain() == 0


def test_recent_maxima_of_buffers_are_told(server: ServerProcess) -> None:
    with server.client() as client:
        client.call("SET", "some", "x" * 20_000)
        client.call("GET", "some")
        text: bytes = client.call("INFO", "clients").plain()
    told = dict(line.split(b":") for line in text.split(b"\r\n") if b":" in line)
    assert int(told[b"client_recent_max_input_buffer"]) > 0
    assert int(told[b"client_recent_max_output_buffer"]) >= 20_000
