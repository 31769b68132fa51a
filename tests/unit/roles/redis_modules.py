"""The modules of role redis, and a small server that speaks Redis' protocol and records every command."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from typing import Any

from tests.unit.roles.modules import PASSWORD, ROLES, load

ACL = ["user admin on #0 ~* &* +@all", "user default off -@all"]
LOGIN = {"login_user": "admin", "login_password": PASSWORD}
SENTINEL_READING = ("MASTER", "SLAVES", "SENTINELS", "CKQUORUM", "CONFIG GET")
READING = ("PING", "INFO", "CONFIG GET", "ACL LIST", *(f"SENTINEL {name}" for name in SENTINEL_READING))
Answer = Callable[[list[str]], Any]

connection, failover = [
    load(ROLES / f"redis/module_utils/redis_{name}.py", "ansible.module_utils.") for name in ("connection", "failover")
]
redis_primary, redis_instance, redis_sentinel, redis_switchover = MODULES = [
    load(ROLES / f"redis/library/redis_{name}.py") for name in ("primary", "instance", "sentinel", "switchover")
]


def encode(reply: Any) -> bytes:
    """Encode a reply in RESP2; an exception becomes an error."""
    match reply:
        case None:
            return b"$-1\r\n"
        case Exception():
            return f"-{reply}\r\n".encode()
        case int():
            return f":{reply}\r\n".encode()
        case str():
            return f"${len(reply.encode())}\r\n{reply}\r\n".encode()
        case dict():
            return encode([word for item in reply.items() for word in item])
        case _:
            return f"*{len(reply)}\r\n".encode() + b"".join(encode(part) for part in reply)


class Server(socketserver.ThreadingTCPServer):
    """Answer AUTH, PING and CLIENT SETINFO itself and all other commands with `answer`; record those in `commands`."""

    daemon_threads = True

    def __init__(self, answer: Answer, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.answer = answer
        self.loading = 0  # number of pings that fail because the server loads its data
        self.commands: list[list[str]] = []
        super().__init__(address, Handler)
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def ping(self) -> Any:
        """Answer a PING."""
        self.loading -= 1
        return ValueError("LOADING Redis is loading the dataset in memory") if self.loading >= 0 else "PONG"

    def written(self) -> list[str]:
        """Return the commands that change something."""
        names = [" ".join(command) for command in self.commands]
        return [name for name in names if not name.startswith(READING)]


class Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        while header := self.rfile.readline():
            words = []
            for _ in range(int(header[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2].decode())
            if words[0] == "AUTH":
                reply: Any = "OK" if words[2] == PASSWORD else ValueError("WRONGPASS invalid username-password pair")
            elif words[:2] == ["CLIENT", "SETINFO"]:
                reply = "OK"
            else:
                self.server.commands.append(words)
                reply = self.server.ping() if words[0] == "PING" else self.server.answer(words)
            self.wfile.write(encode(reply))
