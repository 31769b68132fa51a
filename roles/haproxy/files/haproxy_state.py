#!/usr/bin/python3
"""Write the states of the servers that HAProxy begins with: `haproxy-state start` or `haproxy-state reload`.

Without this file, HAProxy treats every server as up until its first check. Then a client could reach a former master.
At a start, all servers are down. At a reload, they keep the state that the running process knows.
"""

import socket
import sys
from pathlib import Path

INITIAL = Path("/etc/haproxy/servers.state")
STATES = Path("/run/haproxy/servers.state")
SOCKET = "/run/haproxy/admin.sock"
BACKEND, SERVER, ADDRESS = 1, 3, 4
# HAProxy takes these from the file, even if its configuration has others.
CONFIGURED = PORT, TLS = 18, 20


def servers(text: str) -> dict[tuple[str, ...], list[str]]:
    """Return the words of a state file's lines by backend, server and address."""
    lines = [line.split() for line in text.splitlines() if line[:1].isdigit() and " " in line]
    return {tuple(words[column] for column in (BACKEND, SERVER, ADDRESS)): words for words in lines}


def running() -> str:
    """Return the states that the running process knows. Empty if none runs."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(SOCKET)
            connection.sendall(b"show servers state\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    except OSError as error:
        print(f"{SOCKET}: {error}; all servers are down until their first check", file=sys.stderr)
        return ""


def merged(initial: str, known: str) -> str:
    """Return the initial states with those of known servers, which may have another port now.

    With another address, it is a new server.
    """
    found = servers(known)
    lines = []
    for key, words in servers(initial).items():
        state = found.get(key, words).copy()
        for column in CONFIGURED:
            state[column] = words[column]
        lines.append(" ".join(state))
    return "\n".join(["1", *lines, ""])


def main(action: str) -> None:
    """Write the file at once, so that HAProxy never reads half of it."""
    text = merged(INITIAL.read_text(), running() if action == "reload" else "")
    new = STATES.with_suffix(".new")
    new.write_text(text)
    new.replace(STATES)


if __name__ == "__main__":
    main(sys.argv[1])
