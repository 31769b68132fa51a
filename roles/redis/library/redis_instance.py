#!/usr/bin/python
"""Converge a running Redis instance."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.redis_connection import Connection, RedisError, connect, is_refusal, load_acl

DOCUMENTATION = r"""
module: redis_instance
short_description: Converge settings and users of a running Redis
description:
  - Redis and Sentinel rewrite the configuration file, so it cannot be a template. This module compares the settings with the running
    instance and changes those that differ with C(CONFIG SET) and C(CONFIG REWRITE), without a restart.
  - Has the instance load its ACL file when its users are not those of the file.
  - A setting that Redis takes at its start alone is written to O(config_file), where that is given, and named in RV(restart).
  - Never touches who replicates from whom; that is Sentinel's.
options:
  config:
    description: Settings and their values in the form in which C(CONFIG GET) shows them, sizes in bytes. A list is joined by blanks.
    type: dict
    required: true
  secret_config:
    description: The same for settings whose values must not be shown, such as V(masterauth).
    type: dict
    default: {}
  acl_file:
    description: The instance's ACL file.
    type: path
    required: true
  config_file:
    description: The instance's own file, given when the instance is about to be restarted. Redis and Sentinel would soon undo what is
      written there beside them.
    type: path
  link_timeout:
    description: Seconds to wait until a replica has its master's data.
    type: int
    default: 60
  login_host:
    description: Address of the instance.
    type: str
    default: 127.0.0.1
  login_port:
    description: Its port.
    type: int
    required: true
  login_user:
    description: A user that may do everything.
    type: str
    required: true
  login_password:
    description: Its password.
    type: str
    required: true
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Converge the cache
  redis_instance:
    config: {maxmemory: 268435456, maxmemory-policy: allkeys-lru}
    secret_config: {masterauth: "{{ redis_replication_password }}"}
    acl_file: /etc/redis/cache.acl
    login_port: 6379
    login_user: admin
    login_password: "{{ redis_admin_password }}"
"""

RETURN = r"""
settings:
  description: Names of the settings that were changed.
  type: list
  elements: str
  returned: always
restart:
  description: Names of the settings that the instance takes only when it is restarted.
  type: list
  elements: str
  returned: always
acl:
  description: Whether the users were changed.
  type: bool
  returned: always
role:
  description: C(master) or C(slave).
  type: str
  returned: when the instance could be asked
refused:
  description: Whether the instance does not know O(login_user) by O(login_password); nothing was changed then. It reads its ACL file
    when it is restarted.
  type: bool
  returned: always
"""


IMMUTABLE = re.compile(r"argument '(?P<name>[^']+)'\) - can't set immutable config")


def as_redis_shows(value: Any) -> str:
    """A value from YAML in the form of CONFIG GET."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(part) for part in value) if isinstance(value, list) else str(value)


def converge(instance: Connection, config: dict[str, Any], check_mode: bool) -> tuple[list[str], dict[str, str]]:
    """Set what differs and have it written to the file; return the names of what changed, and what only a restart changes."""
    wanted = {name: as_redis_shows(value) for name, value in config.items()}
    before = instance.pairs("CONFIG", "GET", *wanted)
    if unknown := sorted(wanted.keys() - before.keys()):
        raise RedisError(f"Redis has no setting named {', '.join(unknown)}")
    different = [name for name in wanted if before[name] != wanted[name]]
    if not different or check_mode:
        return different, {}
    at_start = set_all(instance, {name: wanted[name] for name in different})
    # One that Redis shows in another form than it was given, `64mb` for instance, has not changed.
    after = instance.pairs("CONFIG", "GET", *different)
    return [name for name in different if before[name] != after[name]], {name: wanted[name] for name in at_start}


def set_all(instance: Connection, settings: dict[str, str]) -> list[str]:
    """Set all at once, so that none is without the others; return the names of those that Redis takes at its start alone."""
    at_start: list[str] = []
    while now := {name: value for name, value in settings.items() if name not in at_start}:
        try:
            instance.call("CONFIG", "SET", *(word for item in now.items() for word in item))
        except RedisError as error:
            refused = IMMUTABLE.search(str(error))
            if not refused or refused["name"] not in now:
                raise
            at_start.append(refused["name"])
        else:
            instance.call("CONFIG", "REWRITE")
            break
    return at_start


def write(path: Path, settings: dict[str, str]) -> None:
    """Put settings into the instance's file, in place: it keeps its owner, and nobody else writes it just now."""
    kept = [line for line in path.read_text().splitlines() if line.split(" ", 1)[0].lower() not in settings]
    path.write_text("\n".join([*kept, *(f"{name} {value}" for name, value in settings.items())]) + "\n")


def wait_for_link(instance: Connection, seconds: float) -> str:
    """Return the instance's role, once it is master or a replica that has its master's data."""
    deadline = time.monotonic() + seconds
    while True:
        info = instance.info("replication")
        if info["role"] == "master" or info["master_link_status"] == "up":
            return str(info["role"])
        if time.monotonic() > deadline:
            master = f"{info['master_host']}:{info['master_port']}"
            raise RedisError(
                f"no link to the master {master} in {seconds:.0f} s; is it running, and does it know the user `replication`?"
            )
        time.sleep(0.1)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "dict", "required": True},
            "secret_config": {"type": "dict", "default": {}, "no_log": True},
            "acl_file": {"type": "path", "required": True},
            "config_file": {"type": "path"},
            "link_timeout": {"type": "int", "default": 60},
            "login_host": {"type": "str", "default": "127.0.0.1"},
            "login_port": {"type": "int", "required": True},
            "login_user": {"type": "str", "required": True},
            "login_password": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    server = (given["login_host"], given["login_port"], given["login_user"], given["login_password"])
    result: dict[str, Any] = {"settings": [], "restart": [], "acl": False, "refused": False}
    try:
        with connect(*server, patience=0 if module.check_mode else given["link_timeout"]) as instance:
            result["acl"] = load_acl(instance, given["acl_file"], module.check_mode)
            result["settings"], at_start = converge(
                instance, given["config"] | given["secret_config"], module.check_mode
            )
            result["restart"] = sorted(at_start)
            if at_start and given["config_file"]:
                # Whom it follows since the last failover stands in memory first.
                instance.call("CONFIG", "REWRITE")
                write(Path(given["config_file"]), at_start)
            result["role"] = wait_for_link(instance, 0 if module.check_mode else given["link_timeout"])
    except RedisError as error:
        if not is_refusal(error):
            module.fail_json(msg=f"{server[0]}:{server[1]}: {error}")
        result["refused"] = True
    except OSError as error:
        # In check mode the instance may be one that this run would start.
        if not module.check_mode:
            module.fail_json(msg=f"{server[0]}:{server[1]} does not answer: {error}")
    module.exit_json(changed=bool(result["settings"] or result["restart"] or result["acl"]), **result)


if __name__ == "__main__":
    main()
