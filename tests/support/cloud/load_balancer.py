"""A replacement for a network load balancer: forwards connections to targets that pass their health check."""

import asyncio
import itertools
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from tests.support.cloud.listeners import Check, Listener, Target

CHUNK = 65536
CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Health:
    """The result of a target's checks, and how many of the last ones had the other result."""

    healthy: bool
    streak: int = 0


def update_health(health: Health | None, passed: bool, check: Check) -> Health:
    """Return `health` after one more check. A new target is healthy after its first success, as at AWS."""
    if health is None or passed == health.healthy:
        return Health(passed)
    streak = health.streak + 1
    enough = streak >= (check.rise if passed else check.fall)
    return Health(passed) if enough else Health(health.healthy, streak)


async def passes(target: Target, check: Check) -> bool:
    """Check a target once."""
    port = target.port if check.port == "traffic-port" else int(check.port)
    try:
        async with asyncio.timeout(check.timeout):
            reader, writer = await asyncio.open_connection(target.address, port)
            try:
                writer.write(f"GET {check.path} HTTP/1.0\r\nHost: {target.address}\r\n\r\n".encode())
                status = (await reader.readline()).split()
                return len(status) > 1 and status[1].startswith((b"2", b"3"))
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


class LoadBalancer:
    """Runs in its own thread. Other threads configure what it serves, and `address` for new listeners."""

    def __init__(self) -> None:
        self.address = ""
        self.loop = asyncio.new_event_loop()
        self.listeners: dict[int, Listener] = {}
        self.health: dict[tuple[Target, Check], Health] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._checks: dict[tuple[Target, Check], asyncio.Task[None]] = {}
        self._counter = itertools.count()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def serve(self, wanted: Sequence[Listener]) -> None:
        """Listen on the `wanted` ports and close all others."""
        work = self._serve({listener.port: listener for listener in wanted})
        asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=10)

    def close(self) -> None:
        """Close all listeners and stop the thread."""
        self.serve(())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=5)

    async def _serve(self, wanted: dict[int, Listener]) -> None:
        self.listeners = wanted
        for port in self._servers.keys() - wanted.keys():
            self._servers.pop(port).close()
        checked = {(target, listener.check) for listener in wanted.values() for target in listener.targets}
        for key in self._checks.keys() - checked:
            self._checks.pop(key).cancel()
            self.health.pop(key, None)
        for key in checked - self._checks.keys():
            self._checks[key] = asyncio.create_task(self._watch(*key))
        for port in wanted.keys() - self._servers.keys():
            self._servers[port] = await asyncio.start_server(
                partial(self._forward, port), self.address, port, backlog=1024
            )

    async def _watch(self, target: Target, check: Check) -> None:
        while True:
            passed = await passes(target, check)
            self.health[target, check] = update_health(self.health.get((target, check)), passed, check)
            await asyncio.sleep(check.interval)

    def _healthy(self, port: int) -> list[Target]:
        listener = self.listeners[port]
        targets = sorted(listener.targets, key=lambda target: (target.address, target.port))
        return [target for target in targets if self.health.get((target, listener.check), Health(False)).healthy]

    async def _forward(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not (healthy := self._healthy(port)):
                return
            target = healthy[next(self._counter) % len(healthy)]
            async with asyncio.timeout(CONNECT_SECONDS):
                target_reader, target_writer = await asyncio.open_connection(target.address, target.port)
            try:
                await asyncio.gather(pump(reader, target_writer), pump(target_reader, writer))
            finally:
                target_writer.close()
        except (OSError, TimeoutError):
            pass  # as with a real load balancer, the client sees a closed connection
        finally:
            writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy a connection's data until its end."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    with suppress(OSError, NotImplementedError):  # TLS can close only both directions
        writer.write_eof()
