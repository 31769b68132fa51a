"""A bounded open-loop load through the front door: `python -m tests.support.drills.load`, the plan as JSON on standard input.

A process of its own, so that nothing else in a drill disturbs its clock. Requests begin when they are due, whatever became of those before
them, and each leaves one JSON line. SIGTERM ends the load; then every write without an acknowledgement is sent again with its
Idempotency-Key, as a careful client does, until it has one.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

import httpx

CONTENT = "A drill writes this while something breaks. Whoever reads it knows that the write was not lost. " * 3
# What a person waits for.
TIMEOUT = 10.0
# Seconds in which a write must at last be acknowledged when everything is well again, and how many are sent a second: nginx takes 30.
SETTLE, SETTLE_RATE = 60.0, 15.0
# A connection that was closed before the answer. Where it had been used before, the request is sent on another, as browsers do; on a new
# one it is a failure.
CLOSED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


@dataclass(frozen=True)
class Plan:
    """What is sent, and where to.

    Args:
        url: The front door.
        run: Begins the titles and keys of this load's writes.
        key: An API key that may write.
        cookie: A session of somebody who has logged in.
        articles: Ids to read.
        rates: Requests a second by kind: read, write, session, slow, door.
        seconds: The load ends by itself after so long.
    """

    url: str
    run: str
    key: str
    cookie: str
    articles: list[int]
    rates: dict[str, float]
    seconds: float


@dataclass
class Record:
    """What became of one request."""

    kind: str
    due: float
    number: int = -1
    status: int = 0
    error: str = ""
    by: str = ""
    release: str = ""
    resent: bool = False
    end: float = field(default=0.0)


class Load:
    """The requests of a plan."""

    def __init__(self, plan: Plan, client: httpx.AsyncClient, log: TextIO) -> None:
        self.plan, self.client, self.log = plan, client, log
        self.over = asyncio.Event()
        self.unacknowledged: set[int] = set()

    async def run(self) -> None:
        """Send everything, settle what is open."""
        kinds: dict[str, Callable[[int, float], Coroutine[Any, Any, None]]] = {
            "read": self.read,
            "write": self.write,
            "session": self.session,
            "slow": self.slow,
            "door": self.door,
        }
        async with asyncio.TaskGroup() as group:
            for kind, rate in self.plan.rates.items():
                group.create_task(self._send(kinds[kind], rate))
        deadline = time.time() + SETTLE
        while self.unacknowledged and time.time() < deadline:
            for number in sorted(self.unacknowledged):
                await self.write(number, time.time(), kind="settle")
                await asyncio.sleep(1 / SETTLE_RATE)

    async def read(self, _number: int, due: float) -> None:
        """Read an article, or a list of some length: mostly what no cache has."""
        list_it = random.random() < 0.3
        path = f"?limit={random.randint(5, 50)}" if list_it else f"/{random.choice(self.plan.articles)}"
        await self._request(Record("read", due), "GET", f"/api/v1/articles{path}")

    async def write(self, number: int, due: float, kind: str = "write") -> None:
        """Publish the article of a number; the same number is the same request."""
        title = f"{self.plan.run}-{number}"
        self.unacknowledged.add(number)
        headers = {"Authorization": f"Bearer {self.plan.key}", "Idempotency-Key": title}
        body = {"title": title, "content": CONTENT}
        record = await self._request(Record(kind, due, number), "POST", "/api/v1/articles", json=body, headers=headers)
        if record.status == 201:
            self.unacknowledged.discard(number)

    async def session(self, _number: int, due: float) -> None:
        """Look at the account page, which only who is logged in sees."""
        await self._request(Record("session", due), "GET", "/account", headers={"Cookie": self.plan.cookie})

    async def slow(self, _number: int, due: float) -> None:
        """Ask for a page that takes seconds, which only releases of tests have."""
        await self._request(Record("slow", due), "GET", "/slow")

    async def door(self, _number: int, due: float) -> None:
        """Ask for what a load balancer answers by itself: it takes longer where the machine is busy, and nowhere else."""
        await self._request(Record("door", due), "GET", "/lb-health")

    async def _send(self, request: Callable[[int, float], Coroutine[Any, Any, None]], rate: float) -> None:
        async with asyncio.TaskGroup() as group:
            async for number, due in self._due(rate):
                group.create_task(request(number, due))

    async def _due(self, rate: float) -> AsyncIterator[tuple[int, float]]:
        """Yield a number and the time at which its request is due."""
        begin = time.time()
        for number in range(int(rate * self.plan.seconds)):
            due = begin + number / rate
            try:
                await asyncio.wait_for(self.over.wait(), timeout=max(due - time.time(), 0.0001))
                return
            except TimeoutError:
                yield number, due

    async def _request(self, record: Record, method: str, path: str, **options: Any) -> Record:
        fresh = False
        while not fresh:

            async def trace(event: str, _info: dict[str, Any]) -> None:
                nonlocal fresh
                fresh = fresh or event == "connection.connect_tcp.started"

            try:
                answer = await self.client.request(method, path, extensions={"trace": trace}, **options)
                record.status, record.by, record.error = answer.status_code, answer.headers.get("x-served-by", ""), ""
                record.release = answer.headers.get("x-release", "")
                break
            except httpx.HTTPError as error:
                record.error = type(error).__name__
                if fresh or not isinstance(error, CLOSED):
                    break
                record.resent = True
        record.end = time.time()
        self.log.write(json.dumps(asdict(record)) + "\n")
        return record


async def main() -> None:
    """Run the plan of standard input; records go to standard output."""
    plan = Plan(**json.loads(sys.stdin.read()))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # who waits for the first answer reads them at once
    # The sandbox's certificate is its own.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    async with httpx.AsyncClient(
        base_url=plan.url, verify=context, trust_env=False, timeout=TIMEOUT, limits=limits
    ) as client:
        load = Load(plan, client, sys.stdout)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.over.set)
        await load.run()


if __name__ == "__main__":
    asyncio.run(main())
