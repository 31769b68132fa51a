"""Continuous writes to the Redis store during a drill. The site's own writes are too few to measure a gap."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
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
    With an `address`, write to that instance, whatever Sentinel reports.
    """
    figures: dict[str, float] = {}
    key = f"drill:{uuid4().hex[:8]}"
    command = [
        *fleet.fleet.ssh_command(client),
        f"sudo news python -c {shlex.quote(WRITER)} {key} {shlex.quote(address)}",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert json.loads(writer.stdout.readline())
        begin = time.time()
        try:
            yield figures
        finally:
            end = time.time()
            output = writer.communicate(timeout=30)[0]
    acknowledged = [(begin, 1), *(tuple(json.loads(line)) for line in output.splitlines())]
    times = [t for t, _ in acknowledged if begin <= t <= end]
    stored = set(fleet.json_of(client, f"news python -c {shlex.quote(READ)} {key}"))
    figures[f"{name}_gap"] = round(max(after - before for before, after in pairwise([begin, *times, end])), 2)
    figures[f"{name}_acknowledged"] = len(acknowledged)
    figures[f"{name}_lost"] = sum(number not in stored for _, number in acknowledged)
