"""Continuous writes to the Redis store during a drill. The site's own writes are too few to measure a gap."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

WRITER = Path(__file__).with_name("store_writer.py").read_text()
READ = """
import json, os, sys
from app.redis.url import RedisUrl
client = RedisUrl.parse(os.environ["STORE_URL"]).client(timeout=5.0)
print(json.dumps([int(number) for number in client.lrange(sys.argv[1], 0, -1)]))
"""


@contextmanager
def continuous_writes(
    fleet: LiveFleet, client: Host, address: str = "", name: str = "store"
) -> Iterator[dict[str, float]]:
    """Write to the store from the host `client` inside the context.

    Afterwards the figures have the longest gap between acknowledged writes, their number, and how many were lost.
    With an `address`, write to that instance, whatever Sentinel reports. The address `proxy` is HAProxy on that host.
    """
    key = f"drill:{uuid4().hex[:8]}"
    with acknowledged_writes(fleet, client, WRITER, [key, address], name) as (figures, numbers):
        yield figures
    stored = set(fleet.json_of(client, f"news python -c {shlex.quote(READ)} {key}"))
    figures[f"{name}_lost"] = sum(number not in stored for number in numbers)


@contextmanager
def acknowledged_writes(
    fleet: LiveFleet, client: Host, writer: str, arguments: Sequence[str], name: str
) -> Iterator[tuple[dict[str, float], list[int]]]:
    """Run a writer on a host inside the context. Afterwards there are its figures, and the acknowledged numbers."""
    figures: dict[str, float] = {}
    numbers: list[int] = []
    words = " ".join(map(shlex.quote, arguments))
    command = [*fleet.fleet.ssh_command(client), f"sudo news python -c {shlex.quote(writer)} {words}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        numbers.append(json.loads(process.stdout.readline())[1])
        begin = time.time()
        try:
            yield figures, numbers
        finally:
            end = time.time()
            output = process.communicate(timeout=30)[0]
    found = [json.loads(line) for line in output.splitlines()]
    numbers.extend(number for _, number in found)
    times = [t for t, _ in found if begin <= t <= end]
    figures[f"{name}_gap"] = round(max(after - before for before, after in pairwise([begin, *times, end])), 2)
    figures[f"{name}_acknowledged"] = len(numbers)
