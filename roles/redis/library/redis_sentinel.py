#!/usr/bin/python
"""Converge a running Sentinel."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.redis_connection import StateError, build_module, converge_server, load_acl, pairs, redis

DOCUMENTATION = r"""
module: redis_sentinel
short_description: Converge the masters and settings of a running Sentinel
requirements: [redis (Debian's python3-redis)]
description:
  - Sentinel keeps its state in its configuration file, so it cannot be a template. This module compares the running
    Sentinel with the options and changes what differs with C(SENTINEL MONITOR), C(SENTINEL SET) and
    C(SENTINEL CONFIG SET), without a restart.
  - Never changes the address of a master that Sentinel already monitors, so it never undoes a failover.
  - Loads Sentinel's ACL file if Sentinel has other users.
  - Resets Sentinel if it remembers replicas or Sentinels that have left the fleet. Otherwise it would count them in
    the majority that a failover needs, for ever. Run the module on one Sentinel at a time. It waits until the others
    are known again, except for a master that is new to this Sentinel.
options:
  masters:
    description: All masters to monitor. Any other master is removed.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the master.
        type: str
        required: true
      address:
        description: Address to start with if Sentinel does not monitor the master yet.
        type: str
        required: true
      port:
        description: Port of the master.
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
  user:
    description: User with which Sentinel logs in to masters, replicas and other Sentinels.
    type: str
    required: true
  password:
    description: Password of O(user).
    type: str
    required: true
  config:
    description: Options of C(SENTINEL CONFIG SET), such as V(announce-ip).
    type: dict
    required: true
  config_file:
    description: Sentinel's configuration file, the only place where its passwords can be read.
    type: path
    required: true
  acl_file:
    description: Sentinel's ACL file.
    type: path
    required: true
  quorum_timeout:
    description: Seconds to wait until Sentinel knows enough others for a failover of each master.
    type: int
    default: 60
  login_port:
    description: Port of this host's Sentinel.
    type: int
    default: 26379
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
- name: Converge Sentinel
  redis_sentinel:
    masters:
      - name: store
        address: 10.0.0.1
        port: 6380
        copies: [10.0.0.1, 10.0.0.2, 10.0.0.3]
        settings: {quorum: 2, down-after-milliseconds: 5000}
    sentinels: [10.0.0.1, 10.0.0.2, 10.0.0.3]
    user: sentinel
    password: "{{ redis_sentinel_password }}"
    config: {announce-ip: 10.0.0.2}
    config_file: /etc/redis/fleet-sentinel.conf
    acl_file: /etc/redis/sentinel.acl
    login_user: admin
    login_password: "{{ redis_admin_password }}"
"""

RETURN = r"""
changes:
  description: The changes, without values.
  type: list
  elements: str
  returned: always
login_rejected:
  description: Whether Sentinel rejected O(login_password). In that case nothing was changed. A restart makes
    Sentinel read its ACL file.
  type: bool
  returned: always
"""


def file_settings(text: str, master: str) -> dict[str, str]:
    """Return one master's settings from Sentinel's file, where a line is `sentinel OPTION MASTER VALUE`."""
    words = [shlex.split(line) for line in text.splitlines() if line.startswith("sentinel ")]
    return {line[1]: line[3] for line in words if len(line) == 4 and line[2] == master}


def converge_config(sentinel: redis.Redis, config: dict[str, Any], check_mode: bool) -> list[str]:
    """Set Sentinel's own options that differ; return their names."""
    reply = sentinel.execute_command("SENTINEL CONFIG GET", "*")
    actual = dict(zip(reply[::2], reply[1::2], strict=True))
    different = {name: str(value) for name, value in config.items() if actual.get(name) != str(value)}
    if different and not check_mode:
        sentinel.execute_command("SENTINEL CONFIG SET", *pairs(different))
    return sorted(different)


def converge_master(sentinel: redis.Redis, wanted: dict[str, Any], config_file: str, check_mode: bool) -> list[str]:
    """Monitor one master with its settings; return what was changed."""
    name, settings = wanted["name"], {option: str(value) for option, value in wanted["settings"].items()}
    try:
        actual = sentinel.sentinel_master(name) | file_settings(Path(config_file).read_text(), name)
    except redis.ResponseError as error:
        if "No such master" not in str(error):
            raise
        if not check_mode:
            sentinel.sentinel_monitor(name, wanted["address"], wanted["port"], settings["quorum"])
        actual = {}
    different = {option: value for option, value in settings.items() if str(actual.get(option)) != value}
    if different and not check_mode:
        sentinel.execute_command("SENTINEL SET", name, *pairs(different))
    return [f"{name}: {option}" for option in sorted(different)]


def remove_others(sentinel: redis.Redis, names: set[str], check_mode: bool) -> list[str]:
    """Remove masters that are not in `names`; return what was changed."""
    others = sorted(sentinel.sentinel_masters().keys() - names)
    for name in [] if check_mode else others:
        sentinel.sentinel_remove(name)
    return [f"{name}: removed" for name in others]


def peers(sentinel: redis.Redis, name: str) -> dict[str, dict[str, Any]]:
    """Return the replicas and other Sentinels that Sentinel remembers, by kind and address."""
    found = {f"replica {peer['ip']}:{peer['port']}": peer for peer in sentinel.sentinel_slaves(name)}
    return found | {f"Sentinel {peer['ip']}:{peer['port']}": peer for peer in sentinel.sentinel_sentinels(name)}


def forget_removed_hosts(
    sentinel: redis.Redis, wanted: dict[str, Any], sentinels: list[str], check_mode: bool, seconds: float
) -> list[str]:
    """Reset Sentinel if it remembers hosts that have left the fleet; return what was changed."""
    name = wanted["name"]
    before = peers(sentinel, name)
    removed = [
        key
        for key, peer in before.items()
        if peer["ip"] not in (wanted["copies"] if key.startswith("replica") else sentinels)
    ]
    # Not during a failover; a later run finds them too.
    if not removed or sentinel.sentinel_master(name)["flags"] != "master":
        return []
    if not check_mode:
        alive = {key for key, peer in before.items() if key not in removed and "down" not in peer["flags"]}
        sentinel.sentinel_reset(name)
        deadline = time.monotonic() + seconds
        while missing := alive - peers(sentinel, name).keys():
            if time.monotonic() > deadline:
                raise StateError(
                    f"{name}: after a reset, Sentinel has not found {', '.join(sorted(missing))} again within"
                    f" {seconds:.0f} s. Check that they run, then run this again."
                )
            time.sleep(0.1)
        # A reset does not write the file, so Sentinel would remember the removed hosts after its next restart.
        sentinel.sentinel_flushconfig()
    return [f"{name}: forgets {key}" for key in removed]


def wait_for_quorum(sentinel: redis.Redis, name: str, seconds: float) -> None:
    """Return as soon as enough Sentinels know each other for a failover of `name`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            sentinel.sentinel_ckquorum(name)
            return
        except redis.ResponseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    master_options = {
        "name": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "copies": {"type": "list", "elements": "str", "required": True},
        "settings": {"type": "dict", "required": True},
    }
    module = build_module(
        masters={"type": "list", "elements": "dict", "required": True, "options": master_options},
        sentinels={"type": "list", "elements": "str", "required": True},
        user={"type": "str", "required": True},
        password={"type": "str", "required": True, "no_log": True},
        config={"type": "dict", "required": True},
        config_file={"type": "path", "required": True},
        acl_file={"type": "path", "required": True},
        quorum_timeout={"type": "int", "default": 60},
        login_port={"type": "int", "default": 26379},
    )
    given, check_mode, seconds = module.params, module.check_mode, module.params["quorum_timeout"]
    masters = given["masters"]
    config = given["config"] | {"sentinel-user": given["user"], "sentinel-pass": given["password"]}
    login = {"auth-user": given["user"], "auth-pass": given["password"]}
    changes: list[str] = []

    def converge(sentinel: redis.Redis) -> None:
        if load_acl(sentinel, given["acl_file"], check_mode):
            changes.append("acl")
        changes.extend(converge_config(sentinel, config, check_mode))
        changes.extend(remove_others(sentinel, {master["name"] for master in masters}, check_mode))
        before = sentinel.sentinel_masters()
        for master in masters:
            wanted = master | {"settings": master["settings"] | login}
            changes.extend(converge_master(sentinel, wanted, given["config_file"], check_mode))
        known = [master for master in masters if master["name"] in before]
        for master in known:
            changes.extend(forget_removed_hosts(sentinel, master, given["sentinels"], check_mode, seconds))
        # A master that is new to this Sentinel may be new to the others too, and they converge after this one.
        for master in [] if check_mode else known:
            wait_for_quorum(sentinel, master["name"], seconds)

    rejected = converge_server(module, 0 if check_mode else seconds, converge)
    module.exit_json(changed=bool(changes), changes=changes, login_rejected=rejected)


if __name__ == "__main__":
    main()
