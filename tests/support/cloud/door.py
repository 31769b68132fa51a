"""The front door: forwards connections to targets that answer their health check, as a network load balancer does."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.support.cloud.balancers import Check, Listener, Target

CHUNK = 65536
CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Health:
    """What a target's checks have shown: a new one is healthy after its first success, as at AWS."""

    healthy: bool = False
    asked: bool = False
    streak: int = 0


def judged(health: Health, passed: bool, check: Check) -> Health:
    """`health` after one more check."""
    if not health.asked or passed == health.healthy:
        return Health(passed, asked=True)
    streak = health.streak + 1
    enough = streak >= (check.rise if passed else check.fall)
    return Health(passed, asked=True) if enough else Health(health.healthy, asked=True, streak=streak)


async def passes(target: Target, check: Check) -> bool:
    """Ask a target once."""
    port = target.port if check.port == "traffic-port" else int(check.port)
    try:
        async with asyncio.timeout(check.timeout):
            reader, writer = await asyncio.open_connection(target.address, port)
            try:
                if not check.path:
                    return True
                writer.write(f"GET {check.path} HTTP/1.0\r\nHost: {target.address}\r\n\r\n".encode())
                status = (await reader.readline()).split()
                return len(status) > 1 and status[1].startswith((b"2", b"3"))
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


class Door:
    """Listens while its loop runs; other threads tell it what to serve."""

    def __init__(self) -> None:
        self.address = ""
        self.loop = asyncio.new_event_loop()
        self.listeners: dict[int, Listener] = {}
        self.health: dict[tuple[Target, Check], Health] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._checks: dict[tuple[Target, Check], asyncio.Task[None]] = {}
        self._turn = itertools.count()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def open_at(self, address: str) -> None:
        """Listen at `address` from now on."""
        self.address = address

    def serve(self, wanted: Sequence[Listener]) -> None:
        """Listen on what `wanted` says, and on nothing else."""
        self._run(self._serve({listener.port: listener for listener in wanted}))

    def close(self) -> None:
        """End everything."""
        self.serve(())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=5)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=10)

    async def _serve(self, wanted: dict[int, Listener]) -> None:
        self.listeners = wanted
        for port in self._servers.keys() - wanted.keys():
            self._servers.pop(port).close()
        asked = {(target, listener.check) for listener in wanted.values() for target in listener.targets}
        for key in self._checks.keys() - asked:
            self._checks.pop(key).cancel()
            self.health.pop(key, None)
        for key in asked - self._checks.keys():
            self._checks[key] = asyncio.create_task(self._watch(*key))
        for port in wanted.keys() - self._servers.keys():
            self._servers[port] = await asyncio.start_server(
                partial(self._forward, port), self.address, port, backlog=1024
            )

    async def _watch(self, target: Target, check: Check) -> None:
        while True:
            self.health[target, check] = judged(
                self.health.get((target, check), Health()), await passes(target, check), check
            )
            await asyncio.sleep(check.interval)

    def _healthy(self, port: int) -> list[Target]:
        listener = self.listeners[port]
        targets = sorted(listener.targets, key=lambda target: (target.address, target.port))
        return [target for target in targets if self.health.get((target, listener.check), Health()).healthy]

    async def _forward(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not (healthy := self._healthy(port)):
                return
            target = healthy[next(self._turn) % len(healthy)]
            async with asyncio.timeout(CONNECT_SECONDS):
                there_reader, there_writer = await asyncio.open_connection(target.address, target.port)
            try:
                await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
            finally:
                there_writer.close()
        except (OSError, TimeoutError):
            pass  # the client sees what it would see of a balancer: a connection that ends
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
