"""A connection to Redis or Sentinel with the standard library alone: hosts need no package for it, and no password reaches an argv."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

TIMEOUT = 2.0
START_TIMEOUT = 60.0


class RedisError(Exception):
    """What the server answers instead of a result, such as `NOAUTH …`."""


class Connection:
    """One connection; replies come as str, int, None or lists of them (RESP2)."""

    def __init__(self, address: str, port: int, user: str, password: str, timeout: float = TIMEOUT) -> None:
        self._socket = socket.create_connection((address, port), timeout=timeout)
        self._reader = self._socket.makefile("rb")
        try:
            self.call("AUTH", user, password)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def call(self, *arguments: object) -> Any:
        """Send one command and return its reply; raise RedisError when the server refuses it."""
        parts = [str(argument).encode() for argument in arguments]
        self._socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self._reply()

    def pairs(self, *arguments: object) -> dict[str, str]:
        """Send a command whose reply is a flat list of names and values."""
        reply = self.call(*arguments)
        return dict(zip(reply[::2], reply[1::2], strict=True))

    def info(self, *sections: str) -> dict[str, str]:
        """The fields of INFO's sections."""
        lines = self.call("INFO", *sections).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def _reply(self) -> Any:
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2].decode(errors="replace")
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RedisError(rest)
        if kind == b":":
            return int(rest)
        length = int(rest)
        if length < 0:
            return None
        if kind == b"$":
            return self._reader.read(length + 2)[:-2].decode(errors="replace")
        # An error inside a list is not raised before the list was read to its end; none of our commands gets one.
        return [self._reply() for _ in range(length)]


def connect(address: str, port: int, user: str, password: str, patience: float = START_TIMEOUT) -> Connection:
    """Log in; wait `patience` seconds for a server that starts, or loads its data."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection = Connection(address, port, user, password)
            try:
                connection.call("PING")
            except RedisError as error:
                connection.close()
                # MASTERDOWN and their kin do not matter to us: the server answers.
                if str(error).startswith("LOADING"):
                    raise ConnectionError(str(error)) from error
                raise
            return connection
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def is_refusal(error: RedisError) -> bool:
    """Whether the server knows the user by another password, or not at all."""
    return str(error).startswith(("WRONGPASS", "NOAUTH"))


def load_acl(connection: Connection, acl_file: str, check_mode: bool) -> bool:
    """Have the server load its ACL file if its users are not those of the file; return whether that changed them."""
    before = sorted(connection.call("ACL", "LIST"))
    if before == sorted(filter(None, Path(acl_file).read_text().splitlines())):
        return False
    if check_mode:
        return True
    connection.call("ACL", "LOAD")
    return bool(sorted(connection.call("ACL", "LIST")) != before)
