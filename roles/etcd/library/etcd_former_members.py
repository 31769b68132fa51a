#!/usr/bin/python
"""Remove members that have left the fleet from etcd."""

from __future__ import annotations

import http.client
import time
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils import etcd_client
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: etcd_former_members
short_description: Remove members that have left the fleet from etcd
description:
  - Compares etcd's own list of members with O(members), and removes the members that O(members) does not have. Until
    then they count for the majority.
  - Removes one member at a time, members that do not answer first and the leader last, and checks before each one that
    etcd has a majority before and after. Otherwise it fails and changes nothing more.
  - If no member of O(members) answers, as on a fresh fleet, it does nothing.
options:
  members:
    description: Addresses of the members that stay.
    type: list
    elements: str
    required: true
  port:
    description: Port for clients of all members.
    type: int
    default: 2379
  timeout:
    description: Seconds to wait until etcd accepts the removal of a member and answers again. It refuses for some
      seconds after a member was disconnected.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Remove former members from etcd
  etcd_former_members:
    members: [10.0.0.1, 10.0.0.2, 10.0.0.3]
"""

RETURN = r"""
members:
  description: Addresses of the members that etcd has after the run; empty if no member answered.
  type: list
  elements: str
  returned: always
removed:
  description: Names of the removed members.
  type: list
  elements: str
  returned: always
"""

CALL_TIMEOUT = 3.0


class RefusedError(Exception):
    """etcd would lose its majority, or did not remove a member; the message explains it."""


class Member:
    """A member of etcd's own list. One that never ran has no name and no URL for clients yet."""

    def __init__(self, entry: dict[str, Any], status: dict[str, Any]) -> None:
        self.id: str = entry["ID"]
        self.address = urlsplit(entry["peerURLs"][0]).hostname or ""
        self.name: str = entry.get("name") or self.address
        self.answers = bool(status)
        self.healthy = status.get("leader", "0") != "0"
        self.leads = status.get("leader") == self.id


def call(address: str, port: int, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the status and JSON of a response; status 0 if there is none."""
    try:
        return etcd_client.call(address, path, body, port, CALL_TIMEOUT)
    except (OSError, ValueError, http.client.HTTPException):
        return 0, {}


def read_members(queried: list[str], port: int) -> list[Member]:
    """Return the members that the first healthy one of `queried` knows, or without a majority those that any one knows.

    The list is empty if no member answers.
    """
    for linearizable in (True, False):
        for address in queried:
            status, answer = call(address, port, "/v3/cluster/member/list", {"linearizable": linearizable})
            if status == http.client.OK and answer.get("members"):
                entries = answer["members"]
                addresses = [urlsplit(entry["peerURLs"][0]).hostname or "" for entry in entries]
                return [
                    Member(entry, call(own, port, "/v3/maintenance/status", {})[1])
                    for entry, own in zip(entries, addresses, strict=True)
                ]
    return []


def next_former(members: list[Member], staying: list[str]) -> Member | None:
    """Return the member to remove next: one that does not answer before healthy ones, and the leader last."""
    former = [member for member in members if member.address not in staying]
    return min(former, key=lambda member: (member.healthy, member.leads, member.name), default=None)


def refusal(members: list[Member], leaving: Member, staying: list[str]) -> str:
    """Return why `leaving` cannot be removed, as a sentence; empty if it can."""
    healthy = [member for member in members if member.healthy]
    healthy_after = [member for member in healthy if member is not leaving]
    if (
        2 * len(healthy) > len(members)
        and 2 * len(healthy_after) > len(members) - 1
        and any(member.address in staying for member in healthy_after)
    ):
        return ""
    former = ", ".join(member.name for member in members if member.address not in staying)
    return (
        f"{leaving.name} cannot be removed from etcd, because a majority must vote before and after it: of the members "
        f"{', '.join(member.name for member in members)}, {', '.join(member.name for member in healthy) or 'none'} can "
        f"vote, and {former} must leave. Start "
        f"{', '.join(member.name for member in members if not member.answers) or 'a member that stays'}, then run this "
        'again. If they are lost for good, read docs/operations.md, "EtcdQuorumLost".'
    )


def remove(members: list[Member], leaving: Member, port: int, seconds: float) -> None:
    """Remove one member, and wait until the others can vote."""
    others = [member.address for member in members if member.healthy and member is not leaving]
    if leaving.leads:  # saves the seconds of an election; if it fails, the election follows
        target = next(member.id for member in members if member.address == others[0])
        call(leaving.address, port, "/v3/maintenance/transfer-leadership", {"targetID": target})
    deadline = time.monotonic() + seconds
    while True:
        known = read_members(others, port)
        if known and all(member.id != leaving.id for member in known) and any(member.healthy for member in known):
            return
        status, answer = call(others[0], port, "/v3/cluster/member/remove", {"ID": leaving.id})
        if time.monotonic() > deadline:
            reason = answer.get("message") or f"HTTP status {status}"
            raise RefusedError(f"etcd did not remove {leaving.name} within {seconds:.0f} s: {reason}. Run this again.")
        time.sleep(0.5)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "members": {"type": "list", "elements": "str", "required": True},
            "port": {"type": "int", "default": 2379},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    staying, port = module.params["members"], module.params["port"]
    removed: list[str] = []
    members = read_members(staying, port)
    while leaving := next_former(members, staying):
        if reason := refusal(members, leaving, staying):
            module.fail_json(msg=reason, removed=removed)
        if module.check_mode:
            members = [member for member in members if member is not leaving]
        else:
            try:
                remove(members, leaving, port, module.params["timeout"])
            except RefusedError as error:
                module.fail_json(msg=str(error), removed=removed)
            members = read_members(staying, port)
        removed.append(leaving.name)
    module.exit_json(changed=bool(removed), removed=removed, members=[member.address for member in members])


if __name__ == "__main__":
    main()
