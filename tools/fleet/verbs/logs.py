"""`logs`: the logs of all hosts, merged by time."""

import os
import queue
import re
import shlex
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tools.fleet.context import Fleet, FleetError, Host
from tools.fleet.inventory import Inventory, read
from tools.fleet.verbs import log_entries
from tools.fleet.verbs.log_entries import Entry, Window
from tools.fleet.verbs.shells import LOGIN_TIMEOUT, as_root, command_line, preface

# Entries that are printed without --since: in all, and of each host before the new ones.
LINES, FOLLOWED_LINES = 100, 10
# A request is searched for in this period, because its id does not contain its time.
REQUEST_PERIOD = timedelta(days=1)
# Seconds that entries wait for older ones of other hosts while logs are followed.
WINDOW = 0.5
BUILT_IN = {"web": ["app.service"], "worker": ["celery-worker.service"], "beat": ["celery-beat.service"]}
NGINX = ["nginx.service", "nginx-errors.service"]
ACCESS_LOG = Path("/var/log/nginx/access.log")
Parse = Callable[[str, str], Entry | None]
REQUEST = re.compile("[A-Za-z0-9._-]{4,128}")


@dataclass(frozen=True)
class Query:
    """What is searched for."""

    follow: bool
    since: datetime | None
    lines: int | None
    pattern: str
    units: list[str]
    nginx: bool


def logs_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `logs`."""
    parser.add_argument(
        "processes", nargs="*", metavar="PROCESS", help="web, worker, beat, nginx, or your own processes"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new entries until Ctrl-C")
    parser.add_argument("-n", "--lines", type=int, metavar="N", help=f"the last N entries (default: {LINES})")
    parser.add_argument("--since", metavar="TIME", help="all entries since 90s, 15m, 2h, 3d, 14:30 or 2026-11-29T14:30")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--grep", metavar="PATTERN", help="only entries that match (Perl; lower case matches any case)")
    which.add_argument("--request", metavar="ID", help="one request, on the load balancers and in the application")
    parser.add_argument("--host", action="append", metavar="NAME", help="only this host; may be repeated")
    parser.add_argument("--unit", action="append", metavar="UNIT", help="another unit of systemd, such as patroni")
    parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON object a line")


def logs(
    fleet: Fleet,
    processes: list[str],
    follow: bool,
    lines: int | None,
    since: str | None,
    grep: str | None,
    request: str | None,
    host: list[str] | None,
    unit: list[str] | None,
    as_json: bool,
) -> int:
    """Print the logs."""
    if lines is not None and lines < 0:
        raise FleetError(f"--lines {lines} is negative; use 0 or more.")
    if request and not REQUEST.fullmatch(request):
        raise FleetError(f"--request {request} is not the id of a request; it is the answer's header X-Request-Id.")
    start = log_entries.since(since, datetime.now(UTC)) if since else None
    if request and not start:
        start = datetime.now(UTC) - REQUEST_PERIOD
    inventory = read(fleet)
    units, nginx = chosen(inventory, processes, unit or [], bool(request))
    lines = (FOLLOWED_LINES if follow else LINES) if lines is None and start is None else lines
    query = Query(follow, start, lines, re.escape(request) if request else grep or "", units, nginx)
    sources = [
        Source(inventory, one, script, parse, start)
        for one in hosts(inventory, host or [], bool(unit))
        for script, parse in scripts(query, one)
    ]
    if not sources:
        raise FleetError("No chosen host has these logs; leave out --host, or choose other processes.")
    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    entries = followed(sources) if follow else finished(sources, query)
    try:
        for entry in entries:
            print(log_entries.as_json(entry) if as_json else log_entries.as_text(entry, colours), flush=follow)
    except BaseException:  # Ctrl-C, or a reader that has enough
        for source in sources:
            source.process.terminate()
        raise
    failures = [source.failure() for source in sources]
    for failure in dict.fromkeys(filter(None, failures)):
        print(failure, file=sys.stderr)
    return 1 if any(failures) else 0


def chosen(
    inventory: Inventory, processes: Sequence[str], units: Sequence[str], everything: bool
) -> tuple[list[str], bool]:
    """Return the patterns of units to read, and whether to read nginx's access log."""
    own = {**(inventory.value("app_processes") or {}), **(inventory.value("app_timers") or {})}
    known = ["web", *(["worker", "beat"] if inventory.value("app_celery_app") else []), *own, "nginx"]
    for name in processes:
        if name not in known:
            raise FleetError(
                f"PROCESS={name} is not a process of the application; use one of {', '.join(dict.fromkeys(known))}."
            )
    found = [one if "." in one else f"{one}.service" for one in units]
    for name in processes:
        # Timers and processes may have the name of a built-in one, such as worker.
        found += (
            [*BUILT_IN.get(name, []), f"app-{name}@*.service", f"app-timer-{name}.service"] if name != "nginx" else []
        )
    if not processes and not units:
        found = [*(unit for names in BUILT_IN.values() for unit in names), "app-*.service"]
    return found, "nginx" in processes or (everything and not processes)


def hosts(inventory: Inventory, wanted: Sequence[str], everywhere: bool) -> list[Host]:
    """Return the hosts to read: those that run the application and nginx, or those that somebody wants."""
    by_name = {one.name: one for one in inventory.hosts}
    for name in wanted:
        if name not in by_name:
            raise FleetError(f"--host {name} is not in the inventory; use one of {', '.join(by_name)}.")
    tiers = {"app", "workers", "loadbalancers"}
    return [by_name[name] for name in wanted] or [one for one in inventory.hosts if everywhere or one.groups & tiers]


def scripts(query: Query, host: Host) -> Iterator[tuple[str, Parse]]:
    """Yield the shell commands that print the logs of a host, each with the function that parses a line."""
    units = [*query.units] if host.groups & {"app", "workers"} or not is_application(query.units) else []
    if query.nginx and "loadbalancers" in host.groups:
        units += NGINX
        yield access_log(query), log_entries.from_nginx
    if units:
        yield journal(query, units), log_entries.from_journal


def is_application(units: Iterable[str]) -> bool:
    """Whether all units are those of the application."""
    return all(unit.startswith(("app", "celery-")) for unit in units)


def journal(query: Query, units: Sequence[str]) -> str:
    """Return the command that prints the journal of units."""
    words = ["journalctl", "--quiet", "--no-pager", "--output=json", *(f"--unit={unit}" for unit in units)]
    words += ["--output-fields=MESSAGE,UNIT,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER"]
    words += [f"--since=@{query.since.timestamp():.0f}"] if query.since else []
    words += [f"--lines={query.lines}"] if query.lines is not None else ["--lines=all"] if query.follow else []
    words += [f"--grep={query.pattern}"] if query.pattern else []
    words += ["--follow"] if query.follow else []
    return f"exec {shlex.join(words)}"


def access_log(query: Query) -> str:
    """Return the command that prints nginx's access log, with its rotated files if they are needed."""
    ignore = " --ignore-case" if query.pattern == query.pattern.lower() else ""
    grep = f" | grep --line-buffered --perl-regexp{ignore} -- {shlex.quote(query.pattern)}" if query.pattern else ""
    tail = f" | tail --lines={query.lines}" if query.lines is not None else ""
    if query.follow:
        # With --since, the old entries of the current file only.
        count = "+1" if query.lines is None or query.pattern else str(query.lines)
        return f"tail --lines={count} --follow=name --retry --quiet {ACCESS_LOG} 2>/dev/null{grep}"
    newer = f" -newermt @{query.since.timestamp():.0f}" if query.since else f" -name {ACCESS_LOG.name}"
    files = f"find {ACCESS_LOG.parent} -name '{ACCESS_LOG.name}*'{newer} -printf '%T@ %p\\n'"
    return f"{files} | sort -n | cut -d' ' -f2- | xargs -r zcat -f{grep}{tail}"


class Source:
    """A command on a host that prints a log."""

    def __init__(self, inventory: Inventory, host: Host, script: str, parse: Parse, since: datetime | None) -> None:
        self.host, self.parse, self.since = host.name, parse, since
        shell = inventory.shells[host.name]
        self.process = subprocess.Popen(
            command_line(shell, as_root(shell, script), "-o", f"ConnectTimeout={LOGIN_TIMEOUT}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.write(preface(shell))
            self.process.stdin.close()

    def entries(self) -> Iterator[Entry]:
        """Yield the entries as they come."""
        assert self.process.stdout
        for line in self.process.stdout:
            entry = self.parse(self.host, line)
            # Only nginx's log still has entries before that time.
            if entry and (not self.since or entry.time >= self.since):
                yield entry

    def failure(self) -> str:
        """Return why the log is incomplete. grep and journalctl end with 1 if nothing matches."""
        code = self.process.wait()
        errors = self.process.stderr.read().strip() if self.process.stderr else ""
        if code == 0 or (code == 1 and not errors):
            return ""
        return f"error: {self.host} did not print its logs: {errors or f'exit code {code}'}"


def finished(sources: Sequence[Source], query: Query) -> Iterable[Entry]:
    """Return the entries of commands that end by themselves."""
    entries = log_entries.merged(source.entries() for source in sources)
    return entries if query.lines is None else deque(entries, maxlen=query.lines)


def followed(sources: Sequence[Source]) -> Iterator[Entry]:
    """Yield entries as they come, nearly in order."""
    arriving: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()

    def pump(source: Source) -> None:
        for entry in source.entries():
            arriving.put(entry)
        arriving.put(None)

    for source in sources:
        threading.Thread(target=pump, args=[source], daemon=True).start()
    window, open_sources = Window(WINDOW), len(sources)
    while open_sources or window.waiting:
        with suppress(queue.Empty):
            entry = arriving.get(timeout=WINDOW / 5)
            if entry:
                window.add(entry, time.monotonic())
            else:
                open_sources -= 1
        yield from window.due(time.monotonic())
