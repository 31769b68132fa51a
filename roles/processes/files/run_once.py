"""Run a command on one host of the fleet, although its timer fires on all of them: run_once.py NAME COMMAND…

The hosts share a lock in the store, whose URL is STORE_URL: sentinel://user:password@host:port,…/0?master=NAME, or
redis://user:password@host:port/0. It uses only the standard library.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

# Seconds after which the lock of a host that has died is free, and between two renewals.
TTL, RENEWAL = 60, 10
# Seconds for which a store without an answer is tried again: longer than a failover takes.
PATIENCE = 60
TIMEOUT = 3
# After a run the lock stays for half the time to the next one, at most this number of seconds. A host whose clock is
# late must not run the command again.
HOLD = 60
NO_STORE = 75
UNITS = "/etc/systemd/system"
RENEW = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
FINISH = (
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end "
    "redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1"
)
Reply = int | str | list["Reply"] | None


class StoreError(Exception):
    """The store does not answer, or it refuses a command."""


class Connection:
    """A connection to a Redis or Sentinel."""

    def __init__(self, address: tuple[str, int], login: list[str]) -> None:
        self.socket = socket.create_connection(address, timeout=TIMEOUT)
        self.file = self.socket.makefile("rb")
        if login:
            self.send("AUTH", *login)

    def send(self, *words: str | int) -> Reply:
        """Send a command and return its reply."""
        parts = [str(word).encode() for word in words]
        lines = [b"*%d" % len(parts), *(line for part in parts for line in (b"$%d" % len(part), part)), b""]
        self.socket.sendall(b"\r\n".join(lines))
        return self.reply()

    def reply(self) -> Reply:
        """Read a reply."""
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise StoreError("it closed the connection")
        kind, text = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise StoreError(text)
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if text == "-1" else self.file.read(int(text) + 2)[:-2].decode()
        if kind == b"*":
            return None if text == "-1" else [self.reply() for _ in range(int(text))]
        return text


def servers(url: str) -> Iterator[tuple[tuple[str, int], list[str], str]]:
    """Yield the servers of a URL with the login, and with the name of the master if they are Sentinels."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    words = [unquote(word) for word in (user, password) if word]
    master = parse_qs(parts.query).get("master", [""])[0] if parts.scheme == "sentinel" else ""
    for host in hosts.split(","):
        name, _, port = host.rpartition(":")
        yield (name, int(port)), words, master


def connect(url: str) -> Connection:
    """Connect to the store's master."""
    reasons = []
    for address, login, master in servers(url):
        try:
            connection = Connection(address, login)
            if not master:
                return connection
            found = connection.send("SENTINEL", "get-master-addr-by-name", master)
            if isinstance(found, list):
                return Connection((str(found[0]), int(str(found[1]))), login)
        except (OSError, StoreError) as error:
            reasons.append(f"{address[0]}:{address[1]}: {error}")
    raise StoreError("; ".join(reasons) or "no Sentinel knows its master")


def ask(url: str, *words: str | int, patience: float = 0) -> Reply:
    """Send a command to the store's master. Try again for a while if it does not answer, as in a failover."""
    end = time.monotonic() + patience
    while True:
        try:
            return connect(url).send(*words)
        except (OSError, StoreError) as error:
            if time.monotonic() > end:
                raise StoreError(str(error)) from error
            time.sleep(1)


def taken(url: str, key: str, owner: str, by_hand: bool) -> str:
    """Take the lock. Return nothing, or the owner who has it."""
    if ask(url, "SET", key, owner, "NX", "EX", TTL, patience=PATIENCE) is not None:
        return ""
    other = str(ask(url, "GET", key, patience=PATIENCE) or "another host")
    if by_hand and other.startswith("done "):
        ask(url, "SET", key, owner, "EX", TTL, patience=PATIENCE)
        return ""
    # A reply that was lost may have been the confirmation.
    return "" if other == owner else other


def next_start(name: str) -> float:
    """Return when the timer fires next. While its service runs, `systemctl show` does not tell."""
    unit = Path(UNITS, f"app-timer-{name}.timer").read_text(encoding="utf-8")
    schedule = next(line.partition("=")[2] for line in unit.splitlines() if line.startswith("OnCalendar="))
    command = ["systemd-analyze", "calendar", schedule]
    environment = os.environ | {"LC_ALL": "C"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    # The last one is in UTC, whatever the host's time zone is.
    found = re.findall(r": \w+ (\S+ \S+) UTC$", shown, re.MULTILINE)
    return datetime.fromisoformat(f"{found[-1]}+00:00").timestamp()


def hold(name: str) -> int:
    """Return for how many milliseconds other hosts must not run the command after it has run."""
    try:
        left = next_start(name) - time.time()
    except (OSError, StopIteration, IndexError, ValueError):
        left = HOLD
    return int(max(1.0, min(HOLD, left / 2)) * 1000)


def run(url: str, key: str, owner: str, command: list[str]) -> int:
    """Run the command, and renew the lock meanwhile."""
    renewed = time.monotonic()
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            time.sleep(0.1)
            if time.monotonic() - renewed > RENEWAL:
                renewed = time.monotonic()
                try:
                    if not ask(url, "EVAL", RENEW, 1, key, owner, TTL * 1000):
                        print("The lock was lost: another host may run this command now.", file=sys.stderr)
                except StoreError as error:
                    print(f"The store does not answer: {error}", file=sys.stderr)
        return process.returncode


def main(name: str, command: list[str]) -> int:
    """Run the command if no other host does."""
    # systemd sends the signal to the command as well. Its end is the end of this program.
    signal.signal(signal.SIGTERM, lambda *_: None)
    url, key = os.environ["STORE_URL"], f"flaskfleet:timer:{name}"
    owner = f"{socket.gethostname()} {uuid.uuid4().hex}"
    try:
        if other := taken(url, key, owner, by_hand="TRIGGER_UNIT" not in os.environ):
            print(f"Not run here, but on {other.removeprefix('done ').partition(' ')[0]}.")
            return 0
    except StoreError as error:
        print(f"Not run: the store of STORE_URL does not answer: {error}", file=sys.stderr)
        return NO_STORE
    status = run(url, key, owner, command)
    try:
        ask(url, "EVAL", FINISH, 1, key, owner, f"done {owner}", hold(name))
    except StoreError as error:
        print(f"The lock stays for {TTL} s: {error}", file=sys.stderr)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
