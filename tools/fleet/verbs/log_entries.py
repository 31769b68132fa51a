"""Log entries: parsed from journald and from nginx's access log, in one order, and printed."""

import heapq
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tools.fleet.context import FleetError

# Units of systemd that have another name for users.
NAMES = {"app": "web", "celery-worker": "worker", "celery-beat": "beat", "nginx-errors": "nginx"}
# A unit of a process (its name and number) or of a timer.
PROCESS, TIMER = re.compile(r"app-(.+)@(.+)"), re.compile(r"app-timer-(.+)")
UNITS_OF_TIME = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Entry(NamedTuple):
    """One line of a log."""

    time: datetime
    host: str
    process: str
    message: str


def since(text: str, now: datetime) -> datetime:
    """Return the moment that a person means: 90s, 15m, 2h, 3d, a time of today, or a date with or without a time."""
    if match := re.fullmatch(r"(\d+)\s*([smhdw])", text):
        return now - timedelta(**{UNITS_OF_TIME[match[2]]: int(match[1])})
    try:
        if re.fullmatch(r"\d\d?:\d\d(:\d\d)?", text):
            text = f"{now.astimezone().date()} {text.zfill(5)}"
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise FleetError(
            f"--since {text} is not a time; use 90s, 15m, 2h or 3d, 14:30, or 2026-11-29T14:30:00+00:00."
        ) from None


def process_of(unit: str) -> str:
    """Return the name of a process as users know it."""
    name = unit.removesuffix(".service")
    if match := TIMER.fullmatch(name):
        return match[1]
    if match := PROCESS.fullmatch(name):
        return f"{match[1]}.{match[2]}"
    return NAMES.get(name, name)


def from_journal(host: str, line: str) -> Entry | None:
    """Parse a line of `journalctl --output=json`."""
    try:
        found = json.loads(line)
        time = datetime.fromtimestamp(int(found["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
    except (ValueError, LookupError, TypeError):
        return None
    message = found.get("MESSAGE")
    if isinstance(message, list):  # of bytes, because it is not valid UTF-8
        message = bytes(message).decode(errors="replace")
    # UNIT is that of a message about the unit from systemd.
    unit = found.get("UNIT") or found.get("_SYSTEMD_UNIT") or found.get("SYSLOG_IDENTIFIER") or "?"
    return Entry(time, host, process_of(str(unit)), str(message or ""))


def from_nginx(host: str, line: str) -> Entry | None:
    """Parse a line of nginx's access log."""
    try:
        found = json.loads(line)
        time = datetime.fromisoformat(found["time"]).astimezone(UTC)
        message = (
            f"{found['client']} {found['method']} {found['host']}{found['uri']} {found['status']} "
            f"{found['bytes']}B {found['request_time']}s by {found['upstream_addr'] or found['cache'] or 'nginx'} "
            f"request {found['request_id']}"
        )
    except (ValueError, LookupError, TypeError):
        return None
    return Entry(time, host, "nginx", message)


def merged(sources: Iterable[Iterable[Entry]]) -> Iterator[Entry]:
    """Merge sources, each in its own order, by time."""
    return heapq.merge(*sources, key=lambda entry: entry.time)


class Window:
    """Orders the entries that arrive within a short time of each other, for logs that are followed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.waiting: list[tuple[datetime, int, float, Entry]] = []
        self.count = 0

    def add(self, entry: Entry, now: float) -> None:
        """Add an entry that has just arrived."""
        self.count += 1
        heapq.heappush(self.waiting, (entry.time, self.count, now, entry))

    def due(self, now: float) -> Iterator[Entry]:
        """Yield, in order, what has waited long enough, and everything before it."""
        last = max((one[:2] for one in self.waiting if now - one[2] >= self.seconds), default=None)
        while last and self.waiting and self.waiting[0][:2] <= last:
            yield heapq.heappop(self.waiting)[3]


def as_json(entry: Entry) -> str:
    """Format an entry for programs, on one line."""
    values: Mapping[str, Any] = entry._asdict() | {"time": stamp(entry.time)}
    return json.dumps(values, ensure_ascii=False)


def as_text(entry: Entry, colours: bool = False) -> str:
    """Format an entry for people. Each of its lines has the same beginning."""
    prefix = f"{stamp(entry.time)} {entry.host} {entry.process}:"
    prefix = f"\033[36m{prefix}\033[0m" if colours else prefix
    return "\n".join(f"{prefix} {printable(line)}" for line in entry.message.splitlines() or [""])


def stamp(time: datetime) -> str:
    """Format a time with milliseconds."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def printable(text: str) -> str:
    """Escape what a terminal would obey: users write into logs."""
    return "".join(char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in text)
