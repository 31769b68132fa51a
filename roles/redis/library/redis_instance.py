#!/usr/bin/python
"""Converge a running Redis instance."""

from __future__ import annotations

import time
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


def as_redis_shows(value: Any) -> str:
    """A value from YAML in the form of CONFIG GET."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(part) for part in value) if isinstance(value, list) else str(value)


def converge(instance: Connection, config: dict[str, Any], check_mode: bool) -> list[str]:
    """Set what differs and have it written to the file; return the names of what changed."""
    wanted = {name: as_redis_shows(value) for name, value in config.items()}
    before = instance.pairs("CONFIG", "GET", *wanted)
    if unknown := sorted(wanted.keys() - before.keys()):
        raise RedisError(f"Redis has no setting named {', '.join(unknown)}")
    different = [name for name in wanted if before[name] != wanted[name]]
    if not different or check_mode:
        return different
    instance.call("CONFIG", "SET", *(word for name in different for word in (name, wanted[name])))
    instance.call("CONFIG", "REWRITE")
    # One that Redis shows in another form than it was given, `64mb` for instance, has not changed.
    after = instance.pairs("CONFIG", "GET", *different)
    return [name for name in different if before[name] != after[name]]


def wait_for_link(instance: Connection, seconds: float) -> str:
    """Return the instance's role, once it is master or a replica that has its master's data."""
    deadline = time.monotonic() + seconds
    while True:
        info = instance.info("replication")
        if info["role"] == "master" or info["master_link_status"] == "up":
            return str(info["role"])
        if time.monotonic() > deadline:
            master = f"{info['master_host']}:{info['master_port']}"
            raise RedisError(f"no link to the master {master} in {seconds:.0f} s; is it running, and does it know the user `replication`?")
        time.sleep(0.1)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "dict", "required": True},
            "secret_config": {"type": "dict", "default": {}, "no_log": True},
            "acl_file": {"type": "path", "required": True},
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
    result: dict[str, Any] = {"settings": [], "acl": False, "refused": False}
    try:
        with connect(*server, patience=0 if module.check_mode else given["link_timeout"]) as instance:
            result["acl"] = load_acl(instance, given["acl_file"], module.check_mode)
            result["settings"] = converge(instance, given["config"] | given["secret_config"], module.check_mode)
            result["role"] = wait_for_link(instance, 0 if module.check_mode else given["link_timeout"])
    except RedisError as error:
        if not is_refusal(error):
            module.fail_json(msg=f"{server[0]}:{server[1]}: {error}")
        result["refused"] = True
    except OSError as error:
        # In check mode the instance may be one that this run would start.
        if not module.check_mode:
            module.fail_json(msg=f"{server[0]}:{server[1]} does not answer: {error}")
    module.exit_json(changed=bool(result["settings"] or result["acl"]), **result)


if __name__ == "__main__":
    main()
