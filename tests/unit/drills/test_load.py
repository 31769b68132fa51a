"""The load is open-loop, retries like a browser, and sends unacknowledged writes again."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.support.drills.load import Load, Plan

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(status: int) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()


def send(serve: Serve, seconds: float = 0.5, **rates: float) -> list[dict[str, Any]]:
    """Run a load on a server, and return the records."""

    async def run() -> list[dict[str, Any]]:
        log = io.StringIO()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=5) as client:
            await Load(Plan("", "run", "key", "session=x", [1], rates, seconds), client, log).run()
        return [json.loads(line) for line in log.getvalue().splitlines()]

    return asyncio.run(run())


async def request(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next((int(line.split()[1]) for line in head.splitlines() if line.lower().startswith("content-length")), 0)
    await reader.readexactly(length)
    return head


def test_requests_start_on_time_while_earlier_ones_hang() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await asyncio.sleep(1)
        writer.write(answer(200))
        writer.close()

    records = send(serve, read=10)
    dues = sorted(record["due"] for record in records)
    assert len(dues) == 5
    assert dues[-1] - dues[0] < 0.6
    assert all(record["end"] - record["due"] >= 1 for record in records)


def test_a_closed_connection_is_a_failure_only_if_it_was_new() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections < 3:
            await request(reader)
            writer.write(answer(200))
            await writer.drain()
            await request(reader)
        writer.close()

    outcomes = [(record["status"], record["resent"]) for record in send(serve, read=8)]
    assert outcomes[:2] == [(200, False), (200, True)]
    assert outcomes[2][0] == 0


def test_a_failed_write_is_sent_again_with_its_key_until_it_is_acknowledged() -> None:
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await request(reader)
            except asyncio.IncompleteReadError:
                writer.close()
                return
            (key,) = [line.split()[1] for line in head.splitlines() if line.lower().startswith("idempotency-key")]
            seen.append(key)
            writer.write(answer(201 if seen.count(key) > 2 else 503))

    records = send(serve, write=4)
    assert sorted(seen) == ["run-0"] * 3 + ["run-1"] * 3
    assert [record["status"] for record in records if record["kind"] == "write"] == [503, 503]
    assert [record["status"] for record in records if record["kind"] == "settle"][-2:] == [201, 201]
