#!/usr/bin/python
"""Converge a running Redis instance."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.redis_connection import StateError, build_module, converge_server, load_acl, pairs, redis

DOCUMENTATION = r"""
module: redis_instance
short_description: Converge settings and users of a running Redis instance
requirements: [redis (Debian's python3-redis)]
description:
  - Redis and Sentinel rewrite the configuration file, so it cannot be a template. This module compares the settings
    with the running instance and changes those that differ with C(CONFIG SET) and C(CONFIG REWRITE), without a restart.
  - Loads the instance's ACL file if the instance has other users.
  - Writes a setting that Redis reads only at start to O(config_file), if that is given, and lists it in RV(restart).
  - Never changes which instance replicates from which; Sentinel decides that.
options:
  config:
    description: Settings and their values in the form that C(CONFIG GET) returns, sizes in bytes. A list is joined by
      spaces.
    type: dict
    required: true
  secret_config:
    description: Like O(config), for settings whose values must not be shown, such as V(masterauth).
    type: dict
    default: {}
  reload:
    description: Settings of O(config) that name a file whose content has changed. They are set even if their value is
      the same, because Redis then reads the file again.
    type: list
    elements: str
    default: []
  acl_file:
    description: The instance's ACL file.
    type: path
    required: true
  config_file:
    description: The instance's configuration file. Set it only right before a restart, because Redis and Sentinel
      overwrite the file while they run.
    type: path
  link_timeout:
    description: Seconds to wait until a replica has its master's data.
    type: int
    default: 60
  login_port:
    description: Port of the instance on this host.
    type: int
    required: true
  login_user:
    description: A user that may run every command.
    type: str
    required: true
  login_password:
    description: Password of O(login_user).
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
  description: Names of the settings that the instance reads only when it starts.
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
  returned: when the instance answered
login_rejected:
  description: Whether the instance rejected O(login_password). In that case nothing was changed. A restart makes
    the instance read its ACL file.
  type: bool
  returned: always
"""


IMMUTABLE = re.compile(r"argument '(?P<name>[^']+)'\) - can't set immutable config")


def config_get_form(value: Any) -> str:
    """Convert a value from YAML to the form that CONFIG GET returns."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(part) for part in value) if isinstance(value, list) else str(value)


def converge(
    instance: redis.Redis, config: dict[str, Any], reload: list[str], check_mode: bool
) -> tuple[list[str], dict[str, str]]:
    """Set and save what differs; return the names that changed, and the settings that need a restart."""
    wanted = {name: config_get_form(value) for name, value in config.items()}
    before = instance.config_get(*wanted) if wanted else {}
    if unknown := sorted(wanted.keys() - before.keys()):
        raise StateError(
            f"this version of Redis has no setting named {', '.join(unknown)}. Check with `redis-server --version` that"
            " it is the one of the supported Debian."
        )
    different = [name for name in wanted if before[name] != wanted[name] or name in reload]
    if not different or check_mode:
        return different, {}
    at_start = set_all(instance, {name: wanted[name] for name in different})
    # A value that Redis returns in another form, such as `64mb`, differs without being a change.
    after = instance.config_get(*different)
    changed = [name for name in different if before[name] != after[name] or name in reload]
    return changed, {name: wanted[name] for name in at_start}


def set_all(instance: redis.Redis, settings: dict[str, str]) -> list[str]:
    """Set all settings in one command, so that all or none apply; return those that Redis reads only at start."""
    at_start: list[str] = []
    while now := {name: value for name, value in settings.items() if name not in at_start}:
        try:
            instance.config_set(*pairs(now))
        except redis.ResponseError as error:
            refused = IMMUTABLE.search(str(error))
            if not refused or refused["name"] not in now:
                raise
            at_start.append(refused["name"])
        else:
            instance.config_rewrite()
            break
    return at_start


def write(path: Path, settings: dict[str, str]) -> None:
    """Write settings to the instance's file in place, so that the file keeps its owner."""
    kept = [line for line in path.read_text().splitlines() if line.split(" ", 1)[0].lower() not in settings]
    path.write_text("\n".join([*kept, *(f"{name} {value}" for name, value in settings.items())]) + "\n")


def wait_for_link(instance: redis.Redis, seconds: float) -> str:
    """Return the instance's role as soon as it is master or a replica with its master's data."""
    deadline = time.monotonic() + seconds
    while True:
        info = instance.info("replication")
        if info["role"] == "master" or info["master_link_status"] == "up":
            return str(info["role"])
        if time.monotonic() > deadline:
            raise StateError(
                f"no link to the master {info['master_host']}:{info['master_port']} within {seconds:.0f} s. Check that"
                " the master is running and that its user `replication` has the password redis_replication_password."
            )
        time.sleep(0.1)


def main() -> None:
    module = build_module(
        config={"type": "dict", "required": True},
        secret_config={"type": "dict", "default": {}, "no_log": True},
        reload={"type": "list", "elements": "str", "default": []},
        acl_file={"type": "path", "required": True},
        config_file={"type": "path"},
        link_timeout={"type": "int", "default": 60},
        login_port={"type": "int", "required": True},
    )
    given, check_mode = module.params, module.check_mode
    timeout = 0 if check_mode else given["link_timeout"]
    result: dict[str, Any] = {"settings": [], "restart": [], "acl": False}

    def converge_instance(instance: redis.Redis) -> None:
        result["acl"] = load_acl(instance, given["acl_file"], check_mode)
        config = given["config"] | given["secret_config"]
        result["settings"], at_start = converge(instance, config, given["reload"], check_mode)
        result["restart"] = sorted(at_start)
        if at_start and given["config_file"]:
            # The file does not have the current master yet if a failover changed it.
            instance.config_rewrite()
            write(Path(given["config_file"]), at_start)
        result["role"] = wait_for_link(instance, timeout)

    rejected = converge_server(module, timeout, converge_instance)
    changed = bool(result["settings"] or result["restart"] or result["acl"])
    module.exit_json(changed=changed, login_rejected=rejected, **result)


if __name__ == "__main__":
    main()
