"""Rows that are written before and after a point in time, to find out what a restore has brought back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import httpx

from tests.support.live.clients import ARTICLES
from tests.support.live.commands import Command
from tests.support.live.fleet import LiveFleet, eventually

ROWS = 20
# A digest of the articles of a test by content, and their number.
DIGEST = "select count(*), md5(string_agg(title || content, ',' order by title)) from article where title like '{}-%'"


def now(fleet: LiveFleet) -> str:
    """Return the time of the primary, as a restore takes it."""
    seconds = float(fleet.sql(fleet.primary, "select extract(epoch from clock_timestamp())"))
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S.%f}+00"


@contextmanager
def beside(command: Command, target: str) -> Iterator[Callable[[str], str]]:
    """Show the data of a point in time beside the database. Yields a function that queries them."""
    restored = command("restore", target)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    try:
        yield lambda query: command("psql", "--beside", "--", "-XAtqc", query).stdout.strip()
    finally:
        assert command("restore", "--remove").returncode == 0


class Story:
    """Rows before a point in time, and rows after it."""

    def __init__(self, fleet: LiveFleet, author: httpx.Client) -> None:
        self.fleet, self.author = fleet, author
        self.before, self.after = f"before-{uuid4().hex[:8]}", f"after-{uuid4().hex[:8]}"
        self.write(self.before)
        self.expected = self.digest(self.before)
        time.sleep(1)
        self.target = now(fleet)
        time.sleep(1)
        self.write(self.after)

    def write(self, title: str) -> None:
        """Publish some articles."""
        for number in range(ROWS):
            body = {"title": f"{title}-{number}", "content": f"{title} wrote number {number}. " * 20}
            answer = self.author.post(ARTICLES, json=body)
            assert answer.status_code == 201, answer.text
            time.sleep(0.05)  # nginx limits writes

    def digest(self, title: str) -> str:
        """Return the number of these articles on the primary, and a digest of their text."""
        return self.fleet.sql(self.fleet.primary, DIGEST.format(title))

    def archive(self) -> None:
        """Wait until the repository has everything that was written until now."""
        segment = self.fleet.sql(self.fleet.primary, "select pg_walfile_name(pg_switch_wal())")
        query = f"select left(last_archived_wal, 24) >= '{segment}' from pg_stat_archiver"
        assert eventually(lambda: self.fleet.sql(self.fleet.primary, query) == "t", within=120)

    def went_back(self) -> None:
        """Check that every host has the rows of before, with their text, and none of those after."""
        hosts = self.fleet.group("postgres")
        for host in hosts:
            assert self.fleet.sql(host, DIGEST.format(self.before)) == self.expected, host.name
            assert self.fleet.sql(host, DIGEST.format(self.after)) == "0|", host.name
        assert len(self.fleet.standbys) == len(hosts) - 1
        # Another write reaches all of them, and the archive.
        self.write(f"then-{self.before}")
        digests = DIGEST.format(f"then-{self.before}")
        expected = self.fleet.sql(self.fleet.primary, digests)
        assert expected.startswith(f"{ROWS}|")
        assert eventually(lambda: {self.fleet.sql(host, digests) for host in hosts} == {expected}, within=60)
        self.archive()
