"""Connect to Redis or Sentinel with Debian's python3-redis."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    redis = None
    IMPORT_ERROR = traceback.format_exc()

TIMEOUT = 2.0
START_TIMEOUT = 60.0


class StateError(Exception):
    """A server or the fleet is in a state that stops the module; the message explains it."""


def build_module(**options: dict[str, Any]) -> AnsibleModule:
    """Build a module with `options` and a login; fail if the host has no python3-redis."""
    login = {
        "login_user": {"type": "str", "required": True},
        "login_password": {"type": "str", "required": True, "no_log": True},
    }
    module = AnsibleModule(argument_spec=options | login, supports_check_mode=True)
    if redis is None:
        hint = ". On Debian it is python3-redis: run playbooks/site.yml --tags redis, which installs it."
        module.fail_json(msg=missing_required_lib("redis") + hint, exception=IMPORT_ERROR)
    return module


def client(address: str, port: int, user: str, password: str, timeout: float = TIMEOUT) -> redis.Redis:
    """Return a client that never retries: the modules decide what to do about a server that does not answer."""
    return redis.Redis(
        host=address,
        port=port,
        username=user,
        password=password,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        protocol=2,
    )


def connect(address: str, port: int, user: str, password: str, start_timeout: float = START_TIMEOUT) -> redis.Redis:
    """Log in; wait up to `start_timeout` seconds for a server that is starting or loading its data."""
    server = client(address, port, user, password)
    deadline = time.monotonic() + start_timeout
    while True:
        try:
            server.ping()
            return server
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if isinstance(error, redis.AuthenticationError) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def converge_server(module: AnsibleModule, start_timeout: float, converge: Callable[[redis.Redis], None]) -> bool:
    """Call `converge` with the server of the module's login options; return whether it rejected the password."""
    given = module.params
    host, port = "127.0.0.1", given["login_port"]
    try:
        with connect(host, port, given["login_user"], given["login_password"], start_timeout) as server:
            converge(server)
    except redis.AuthenticationError:
        return True
    except (redis.ConnectionError, redis.TimeoutError) as error:
        # In check mode the server may be one that this run would start.
        if not module.check_mode:
            module.fail_json(
                msg=f"{host}:{port} does not answer: {error}. `journalctl -u 'redis*' -n 50` on this host shows why. If"
                " its append-only file is damaged, see docs/operations.md#damaged-append-only-files."
            )
    except (redis.RedisError, StateError) as error:
        module.fail_json(msg=f"{host}:{port}: {error}")
    return False


def pairs(items: dict[str, Any]) -> list[Any]:
    """Flatten options to the alternating names and values that commands take."""
    return [word for item in items.items() for word in item]


def load_acl(server: redis.Redis, acl_file: str, check_mode: bool) -> bool:
    """Load the ACL file if the server's users differ from it; return whether that changed them."""
    before = sorted(server.acl_list())
    if before == sorted(filter(None, Path(acl_file).read_text().splitlines())):
        return False
    if check_mode:
        return True
    server.acl_load()
    return sorted(server.acl_list()) != before
