"""Finds what applications with WebSockets need: more threads, and for Flask-SocketIO a single process."""

import ast
from collections.abc import Iterator

from tools.project.code import Code, assignments, dotted, keyword, text
from tools.project.dependencies import Dependencies
from tools.project.tree import Finding

SOCKETIO = "flask-socketio"
PACKAGES = (SOCKETIO, "flask-sock", "simple-websocket")
# Each open connection keeps a thread busy, also a silent one. Threads cost memory only when they are used.
THREADS = 100
# Flask-SocketIO takes the first of these that is installed, unless its async_mode names another one.
GREEN = ("eventlet", "gevent")


def package(needs: Dependencies) -> str:
    """Return the package by which the application opens WebSockets, or an empty string."""
    return next((name for name in PACKAGES if name in needs.direct), "")


def values(needs: Dependencies) -> Iterator[Finding]:
    """Yield the processes and threads that WebSockets need."""
    if found := package(needs):
        yield Finding("app_threads", THREADS, f"{needs.input}: {found}: each WebSocket keeps a thread", assumed=True)
    if found == SOCKETIO:
        reason = f"{needs.input}: {found}: all requests of a client must reach one process"
        yield Finding("app_workers", 1, reason, assumed=True)


def notes(code: Code, needs: Dependencies) -> Iterator[str]:
    """Yield what the owner has to know or to change."""
    if "flask-sockets" in needs.direct:
        yield (
            f"{needs.input} has flask-sockets, which needs a server of gevent; the fleet's gunicorn works with "
            "threads. Use flask-sock instead."
        )
    if SOCKETIO not in needs.direct:
        return
    mode, place = async_mode(code)
    green = next((name for name in GREEN if name in needs.direct), "")
    if mode in GREEN or (green and not mode):
        where = f"{place} has async_mode={mode!r}" if mode else f"{needs.input} has {green}, which Flask-SocketIO uses"
        yield f'{where}, but the fleet\'s gunicorn works with threads; set SocketIO(async_mode="threading").'
    yield (
        f"{needs.input} has {SOCKETIO}, whose clients first poll, and all requests of a client must reach one "
        "process: have one application host, with app_workers: 1. For more, let the clients use WebSockets alone "
        '(io({transports: ["websocket"]})) and the processes a queue (SocketIO(message_queue=os.environ["REDIS_URL"])).'
    )


def async_mode(code: Code) -> tuple[str, str]:
    """Return how the code lets Flask-SocketIO work, and the place. Both are empty if it does not always say."""
    made: dict[str, tuple[str, str]] = {}
    started: list[tuple[str, str]] = []
    for module in code.modules.values():
        for name, value in (pair for node in module.nodes for pair in assignments(node)):
            if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] == "SocketIO":
                made[name] = (text(keyword(value, "async_mode")) or "", module.at(value))
    for module in code.modules.values():
        for call in module.calls:
            *_, owner, method = ("", *dotted(call.func).split("."))
            if owner in made and method == "init_app":
                started.append((text(keyword(call, "async_mode")) or "", module.at(call)))
    named = [found for found in made.values() if found[0]] or (started if all(mode for mode, _ in started) else [])
    return named[0] if named else ("", "")
