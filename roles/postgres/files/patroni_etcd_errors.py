#!/usr/bin/python3
"""Run Patroni 4.0 so that it understands every error of Debian's etcd.

In an error of a stream, which the renewal of the leader's lease is, etcd's JSON interface names the gRPC code `code`.
Patroni 4.0 expects `grpc_code`, and takes "unavailable" for an unknown error. For an unknown error it demotes the
primary at once. For "unavailable" it asks the next member of etcd, and without any member continues in failsafe mode.
Patroni 4.1 reads both names (its pull requests 3562 and 3595). With such a version this program changes nothing.
"""

from importlib import import_module
from typing import Any

# The function of Patroni that makes an exception of etcd's answer.
RAISE = "_raise_for_data"
UNKNOWN = 2
UNAVAILABLE = 14
# etcd says this with code "unknown" while it has lost its leader.
NO_LEADER = "not a primary lessor"


def with_grpc_code(answer: Any) -> Any:
    """Return etcd's answer with the names that Patroni 4.0 expects in an error of a stream."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return answer
    code = error.get("grpc_code", error.get("code"))
    if code == UNKNOWN and error.get("message") == NO_LEADER:
        code = UNAVAILABLE
    return {**answer, "error": {**error, "grpc_code": code}}


def understand_errors(etcd3: Any) -> None:
    """Make Patroni's module for etcd read each error with the names that it expects."""
    original = getattr(etcd3, RAISE)

    def understood(answer: Any, status_code: int | None = None) -> Any:
        return original(with_grpc_code(answer), status_code)

    setattr(etcd3, RAISE, understood)


def main() -> None:
    """Run Patroni with this program's arguments."""
    if import_module("patroni.version").__version__.startswith("4.0."):
        understand_errors(import_module("patroni.dcs.etcd3"))
    import_module("patroni.__main__").main()


# Patroni starts Postgres from a process that imports this file.
if __name__ == "__main__":
    main()
