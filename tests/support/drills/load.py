"""An open-loop load through the front door: `python -m tests.support.drills.load`, with its plan as JSON on stdin.

It runs in a separate process, so that nothing else in a drill delays its requests. Each request starts on time, even if
earlier ones have no answer yet, and prints one JSON line. SIGTERM ends the load. Then every unacknowledged write is
sent again with its Idempotency-Key, like a careful client would, until it is acknowledged.
"""

import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any, TextIO

import httpx

CONTENT = "A drill writes this text during a fault. If it can be read later, the write was not lost. " * 3
# As long as a person would wait.
TIMEOUT = 10.0
# Seconds in which every write must be acknowledged after the fault, and how many are sent per second: nginx allows 30.
SETTLE, SETTLE_RATE = 60.0, 15.0
# Pages of the other kinds. The account requires a login. The slow page takes seconds, and only releases of tests have
# it. The load balancer itself answers `door` requests, which are slow only if the machine is busy.
PAGES = {"session": "/account", "slow": "/slow", "door": "/lb-health"}
# The connection was closed before the answer. If it was a reused connection, the request is sent again on a new one, as
# browsers do. On a new connection it is a failure.
CLOSED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


@dataclass(frozen=True)
class Plan:
    """The requests of a load, and their destination.

    Args:
        url: The front door.
        run: Prefix of the titles and idempotency keys of this load's writes.
        key: An API key that may write.
        cookie: The session cookie of a logged-in user.
        articles: Ids of articles to read.
        rates: Requests per second by kind: read, write, session, slow, door.
        seconds: Maximum duration of the load.
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
    """The outcome of one request."""

    kind: str
    due: float
    number: int = -1
    status: int = 0
    error: str = ""
    by: str = ""
    release: str = ""
    resent: bool = False
    end: float = 0.0


class Load:
    """Sends the requests of a plan."""

    def __init__(self, plan: Plan, client: httpx.AsyncClient, log: TextIO) -> None:
        self.plan, self.client, self.log = plan, client, log
        self.stopped = asyncio.Event()
        self.unacknowledged: set[int] = set()

    async def run(self) -> None:
        """Send all requests, then send unacknowledged writes again."""
        async with asyncio.TaskGroup() as group:
            for kind, rate in self.plan.rates.items():
                group.create_task(self._send(kind, rate))
        deadline = time.time() + SETTLE
        while self.unacknowledged and time.time() < deadline:
            for number in sorted(self.unacknowledged):
                await self.write(number, time.time(), kind="settle")
                await asyncio.sleep(1 / SETTLE_RATE)

    async def read(self, kind: str, due: float) -> None:
        """Request a page. The kind `read` is an article, or a list of random length. Most of these are not cached."""
        list_it = random.random() < 0.3
        path = f"?limit={random.randint(5, 50)}" if list_it else f"/{random.choice(self.plan.articles)}"
        headers = {"Cookie": self.plan.cookie} if kind == "session" else {}
        await self._request(Record(kind, due), "GET", PAGES.get(kind, f"/api/v1/articles{path}"), headers=headers)

    async def write(self, number: int, due: float, kind: str = "write") -> None:
        """Publish the article with this number. The same number is the same request."""
        title = f"{self.plan.run}-{number}"
        self.unacknowledged.add(number)
        headers = {"Authorization": f"Bearer {self.plan.key}", "Idempotency-Key": title}
        body = {"title": title, "content": CONTENT}
        record = await self._request(Record(kind, due, number), "POST", "/api/v1/articles", json=body, headers=headers)
        if record.status == 201:
            self.unacknowledged.discard(number)

    async def _send(self, kind: str, rate: float) -> None:
        async with asyncio.TaskGroup() as group:
            async for number, due in self._due(rate):
                group.create_task(self.write(number, due) if kind == "write" else self.read(kind, due))

    async def _due(self, rate: float) -> AsyncIterator[tuple[int, float]]:
        """Yield numbers, each with the time at which its request is due."""
        begin = time.time()
        for number in range(int(rate * self.plan.seconds)):
            due = begin + number / rate
            try:
                await asyncio.wait_for(self.stopped.wait(), timeout=max(due - time.time(), 0.0001))
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
    """Run the plan from standard input. Print records to standard output."""
    plan = Plan(**json.loads(sys.stdin.read()))
    # The caller waits for the first record.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    async with httpx.AsyncClient(
        # The sandbox's certificate is self-signed.
        base_url=plan.url,
        verify=False,
        trust_env=False,
        timeout=TIMEOUT,
        limits=limits,
    ) as client:
        load = Load(plan, client, sys.stdout)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.stopped.set)
        await load.run()


if __name__ == "__main__":
    asyncio.run(main())
