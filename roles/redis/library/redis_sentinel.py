#!/usr/bin/python
"""Converge a running Sentinel."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.redis_connection import Connection, RedisError, connect, is_refusal, load_acl

DOCUMENTATION = r"""
module: redis_sentinel
short_description: Converge what a running Sentinel monitors, and how
description:
  - Sentinel keeps its state in its configuration file, so it cannot be a template. This module compares with the running Sentinel and
    changes what differs with C(SENTINEL MONITOR), C(SENTINEL SET) and C(SENTINEL CONFIG SET), without a restart.
  - The address of a master that Sentinel already monitors stays as it is, so a failover is never undone.
  - Has Sentinel load its ACL file when its users are not those of the file.
  - Has Sentinel forget replicas and other Sentinels that are none of the fleet's any more. It would wait for them for ever, and count them
    among those whose majority a failover needs. Run it on one Sentinel at a time; it waits until the others are known again, unless
    this one is new to a master.
options:
  masters:
    description: All masters to monitor; another one that Sentinel has is removed.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the master.
        type: str
        required: true
      address:
        description: Address to begin with, where Sentinel does not monitor it yet.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        required: true
      copies:
        description: Addresses of all copies of the instance.
        type: list
        elements: str
        required: true
      settings:
        description: Options of C(SENTINEL SET), at least V(quorum).
        type: dict
        required: true
  sentinels:
    description: Addresses of all Sentinels.
    type: list
    elements: str
    required: true
  master_user:
    description: User by whom Sentinel logs in to masters and replicas.
    type: str
    required: true
  master_password:
    description: Its password.
    type: str
    required: true
  config:
    description: Options of C(SENTINEL CONFIG SET), such as V(announce-ip).
    type: dict
    required: true
  peer_user:
    description: User by whom Sentinels log in to each other.
    type: str
    required: true
  peer_password:
    description: Its password.
    type: str
    required: true
  config_file:
    description: Sentinel's own file, which alone tells the passwords that it has.
    type: path
    required: true
  acl_file:
    description: Sentinel's ACL file.
    type: path
    required: true
  quorum_timeout:
    description: Seconds to wait until a failover of each master could be decided.
    type: int
    default: 60
  login_host:
    description: Address of Sentinel.
    type: str
    default: 127.0.0.1
  login_port:
    description: Its port.
    type: int
    default: 26379
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
- name: Converge Sentinel
  redis_sentinel:
    masters:
      - name: store
        address: 10.0.0.1
        port: 6380
        copies: [10.0.0.1, 10.0.0.2, 10.0.0.3]
        settings: {quorum: 2, down-after-milliseconds: 5000}
    sentinels: [10.0.0.1, 10.0.0.2, 10.0.0.3]
    master_user: sentinel
    master_password: "{{ redis_sentinel_password }}"
    config: {announce-ip: 10.0.0.2}
    peer_user: sentinel
    peer_password: "{{ redis_sentinel_password }}"
    config_file: /etc/redis/fleet-sentinel.conf
    acl_file: /etc/redis/sentinel.acl
    login_user: admin
    login_password: "{{ redis_admin_password }}"
"""

RETURN = r"""
changes:
  description: What was changed, without values.
  type: list
  elements: str
  returned: always
refused:
  description: Whether Sentinel does not know O(login_user) by O(login_password); nothing was changed then. It reads its ACL file when it is
    restarted.
  type: bool
  returned: always
"""


def file_settings(text: str, master: str) -> dict[str, str]:
    """What Sentinel's file says of one master: `sentinel OPTION MASTER VALUE`."""
    words = [shlex.split(line) for line in text.splitlines() if line.startswith("sentinel ")]
    return {line[1]: line[3] for line in words if len(line) == 4 and line[2] == master}


def converge_config(sentinel: Connection, config: dict[str, Any], check_mode: bool) -> list[str]:
    """Set Sentinel's own options that differ; return what was changed."""
    actual = sentinel.pairs("SENTINEL", "CONFIG", "GET", "*")
    different = {name: str(value) for name, value in config.items() if actual.get(name) != str(value)}
    if different and not check_mode:
        sentinel.call("SENTINEL", "CONFIG", "SET", *(word for item in different.items() for word in item))
    return sorted(different)


def converge_master(sentinel: Connection, wanted: dict[str, Any], config_file: str, check_mode: bool) -> list[str]:
    """Monitor one master with its settings; return what was changed."""
    name, settings = wanted["name"], {option: str(value) for option, value in wanted["settings"].items()}
    try:
        actual = sentinel.pairs("SENTINEL", "MASTER", name) | file_settings(Path(config_file).read_text(), name)
    except RedisError as error:
        if "No such master" not in str(error):
            raise
        if not check_mode:
            sentinel.call("SENTINEL", "MONITOR", name, wanted["address"], wanted["port"], settings["quorum"])
        actual = {}
    different = {option: value for option, value in settings.items() if actual.get(option) != value}
    if different and not check_mode:
        sentinel.call("SENTINEL", "SET", name, *(word for item in different.items() for word in item))
    return [f"{name}: {option}" for option in sorted(different)]


def monitored(sentinel: Connection) -> set[str]:
    """The names of the masters that Sentinel monitors."""
    return {
        dict(zip(master[::2], master[1::2], strict=True))["name"] for master in sentinel.call("SENTINEL", "MASTERS")
    }


def remove_others(sentinel: Connection, names: set[str], check_mode: bool) -> list[str]:
    """Forget masters that are not wanted; return what was changed."""
    others = sorted(monitored(sentinel) - names)
    for name in [] if check_mode else others:
        sentinel.call("SENTINEL", "REMOVE", name)
    return [f"{name}: removed" for name in others]


def known(sentinel: Connection, name: str) -> dict[str, dict[str, str]]:
    """The replicas and other Sentinels that Sentinel remembers, by kind and address."""
    found = {}
    for kind, command in (("replica", "REPLICAS"), ("Sentinel", "SENTINELS")):
        for reply in sentinel.call("SENTINEL", command, name):
            one = dict(zip(reply[::2], reply[1::2], strict=True))
            found[f"{kind} {one['ip']}:{one['port']}"] = one
    return found


def forget_strangers(
    sentinel: Connection, wanted: dict[str, Any], sentinels: list[str], check_mode: bool, seconds: float
) -> list[str]:
    """Have Sentinel forget whom the fleet does not have; return what was changed."""
    name = wanted["name"]
    before = known(sentinel, name)
    strangers = [
        what
        for what, one in before.items()
        if one["ip"] not in (wanted["copies"] if what.startswith("replica") else sentinels)
    ]
    # Not in the middle of a failover; a later run finds them, too.
    if not strangers or sentinel.pairs("SENTINEL", "MASTER", name)["flags"] != "master":
        return []
    if not check_mode:
        alive = {what for what, one in before.items() if what not in strangers and "down" not in one["flags"]}
        sentinel.call("SENTINEL", "RESET", name)
        deadline = time.monotonic() + seconds
        while missing := alive - known(sentinel, name).keys():
            if time.monotonic() > deadline:
                raise RedisError(
                    f"{name}: after a reset Sentinel has not found {', '.join(sorted(missing))} again in {seconds:.0f} s"
                )
            time.sleep(0.1)
    return [f"{name}: forgets {what}" for what in strangers]


def wait_for_quorum(sentinel: Connection, name: str, seconds: float) -> None:
    """Return when enough Sentinels know each other to fail `name` over."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            sentinel.call("SENTINEL", "CKQUORUM", name)
            return
        except RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "masters": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                    "copies": {"type": "list", "elements": "str", "required": True},
                    "settings": {"type": "dict", "required": True},
                },
            },
            "sentinels": {"type": "list", "elements": "str", "required": True},
            "master_user": {"type": "str", "required": True},
            "master_password": {"type": "str", "required": True, "no_log": True},
            "config": {"type": "dict", "required": True},
            "peer_user": {"type": "str", "required": True},
            "peer_password": {"type": "str", "required": True, "no_log": True},
            "config_file": {"type": "path", "required": True},
            "acl_file": {"type": "path", "required": True},
            "quorum_timeout": {"type": "int", "default": 60},
            "login_host": {"type": "str", "default": "127.0.0.1"},
            "login_port": {"type": "int", "default": 26379},
            "login_user": {"type": "str", "required": True},
            "login_password": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    given, check_mode = module.params, module.check_mode
    server = (given["login_host"], given["login_port"], given["login_user"], given["login_password"])
    config = given["config"] | {"sentinel-user": given["peer_user"], "sentinel-pass": given["peer_password"]}
    login = {"auth-user": given["master_user"], "auth-pass": given["master_password"]}
    changes: list[str] = []
    refused = False
    try:
        with connect(*server, patience=0 if check_mode else given["quorum_timeout"]) as sentinel:
            if load_acl(sentinel, given["acl_file"], check_mode):
                changes.append("acl")
            changes += converge_config(sentinel, config, check_mode)
            changes += remove_others(sentinel, {master["name"] for master in given["masters"]}, check_mode)
            before = monitored(sentinel)
            for master in given["masters"]:
                wanted = master | {"settings": master["settings"] | login}
                changes += converge_master(sentinel, wanted, given["config_file"], check_mode)
            for master in given["masters"]:
                if master["name"] in before:
                    changes += forget_strangers(
                        sentinel, master, given["sentinels"], check_mode, given["quorum_timeout"]
                    )
            # Where this Sentinel is new, so may be the others, whose turns come after this one's.
            for master in [] if check_mode else [master for master in given["masters"] if master["name"] in before]:
                wait_for_quorum(sentinel, master["name"], given["quorum_timeout"])
    except RedisError as error:
        if not is_refusal(error):
            module.fail_json(msg=f"{server[0]}:{server[1]}: {error}")
        refused = True
    except OSError as error:
        # In check mode Sentinel may be one that this run would start.
        if not check_mode:
            module.fail_json(msg=f"{server[0]}:{server[1]} does not answer: {error}")
    module.exit_json(changed=bool(changes), changes=changes, refused=refused)


if __name__ == "__main__":
    main()
