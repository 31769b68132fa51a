"""Ask every host, all at once and without changing anything: does it answer, is it Debian 13, will it still let us in?"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import repeat
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader

# `$SSH_CONNECTION` is "client port server port" as the host sees it: what its firewall is going to see, too.
QUESTION = 'cat /etc/os-release; echo "SSH_CONNECTION=$SSH_CONNECTION"'
ALLOW = "to go on without, add -e preflight_allow_unreachable=true"
# What ssh says of a host that is down. Anything else, such as a refused key or a name that nobody knows, is a mistake on the way there.
DOWN = re.compile(r"timed out|No route to host|Connection (refused|reset|closed)|Host is down|no answer in")
# A run would wait for these in vain: quorums without a majority, data without any host that has them.
QUORUMS, DATA = ("etcd", "sentinel"), ("postgres", "redis")
PASSWORDS = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")


@dataclass(frozen=True)
class Answer:
    """What a host said, or why it said nothing."""

    host: str
    target: str
    text: str = ""
    error: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """The NAME=value lines of the answer."""
        lines = (line.partition("=") for line in self.text.splitlines())
        return {name: value.strip('"') for name, _, value in lines}


# On top of the time to connect: a busy host is slow to shake hands, and is not down.
HANDSHAKE_SECONDS = 20


def ssh_command(variables: Mapping[str, Any], user: str, key: str, arguments: str, timeout: int) -> list[str]:
    """The question by `ssh` to one host."""
    return [*way_to(variables, user, key, arguments, timeout), QUESTION]


def way_to(variables: Mapping[str, Any], user: str, key: str, arguments: str, timeout: int) -> list[str]:
    """`ssh` to one host, with what Ansible's own variables say about the way there."""
    user, key = variables.get("ansible_user") or user, variables.get("ansible_ssh_private_key_file") or key
    port = variables.get("ansible_port")
    words = [
        "ssh",
        "-o",
        "BatchMode=yes",
        "-o",
        f"ConnectTimeout={timeout}",
        "-o",
        "ControlMaster=no",
        "-o",
        "ControlPath=none",
    ]
    words += ["-i", str(key)] if key else []
    words += ["-p", str(port)] if port else []
    words += ["-l", str(user)] if user else []
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        words += shlex.split(variables.get(name) or "")
    return [*words, *shlex.split(variables.get("ansible_ssh_args") or arguments), str(variables["ansible_host"])]


def ask(host: str, command: Sequence[str], timeout: int) -> Answer:
    """Run one question; a host that accepts and then says nothing counts as down."""
    target = command[-2]
    timeout += HANDSHAKE_SECONDS
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return Answer(host, target, error=f"no answer in {timeout} s")
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()
        return Answer(host, target, error=reason[-1].strip() if reason else f"ssh ended with {done.returncode}")
    return Answer(host, target, text=done.stdout)


def unreachable(answer: Answer) -> str:
    """A sentence about a host that did not answer."""
    return f"{answer.host} (ansible_host = {answer.target}) does not answer over SSH: {answer.error}"


def wrong_way(answer: Answer) -> list[str]:
    """A sentence when not the host is down, but the way there is wrong."""
    if not answer.error or DOWN.search(answer.error):
        return []
    return [f"{unreachable(answer)}; correct its way in."]


def too_many(silent: Mapping[str, str], asked: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each reason why a run without the silent hosts would come to nothing."""
    failures = []
    for group in (*QUORUMS, *DATA):
        hosts = groups.get(group, [])
        down = [host for host in hosts if host in silent]
        if down and (2 * len(down) >= len(hosts) if group in QUORUMS else len(down) == len(hosts)):
            lacks = "majority" if group in QUORUMS else "host that answers"
            these = "it" if len(down) == 1 else "one"
            failures.append(f"Group {group} has no {lacks} without {', '.join(down)}; start {these} first; {ALLOW}.")
    if silent and not failures and len(silent) == len(asked):
        failures.append(f"No host is left; start {'it' if len(silent) == 1 else 'one'}, or correct the way in.")
    return [f"{sentence}." for sentence in silent.values()] + failures if failures else []


def wrong_system(answer: Answer, version: str) -> list[str]:
    """A sentence when the host is not the Debian that the roles are written for."""
    found = (answer.fields.get("ID"), answer.fields.get("VERSION_ID"))
    if answer.error or found == ("debian", version):
        return []
    name = answer.fields.get("PRETTY_NAME", "unknown")
    where = f"{answer.host} (ansible_host = {answer.target})"
    return [f"{where} runs {name}, and preflight_debian_version = {version}; install Debian {version} on it."]


def locked_out(answer: Answer, rules: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """A sentence when the firewall to come would not let this control node in again."""
    connection = answer.fields.get("SSH_CONNECTION", "").split()
    if answer.error or rules is None or len(connection) != 4:
        return []
    client, server, port = ip_address(connection[0]), ip_address(connection[2]), int(connection[3])
    if client.is_loopback or client == server:
        return []
    open_to = [
        source for rule in rules if rule["protocol"] == "tcp" and rule["port"] == port for source in rule["sources"]
    ]
    if "any" in open_to or any(client in ip_network(source) for source in open_to):
        return []
    if not open_to:
        return [
            f"{answer.host} listens for SSH at port {port}, which fleet_ports opens to nobody: its firewall would lock Ansible out; add it."
        ]
    there = f"{client}/{client.max_prefixlen}"
    return [
        f"{answer.host} is reached from {there}, which fleet_admin_networks lacks: its firewall would lock Ansible out; add it."
    ]


def password_login(host: str, variables: Mapping[str, Any]) -> list[str]:
    """A sentence when Ansible logs in by a password, which role base turns off."""
    name = next((name for name in PASSWORDS if variables.get(name)), None)
    return (
        [f"{host}: {name} is set, and role base turns password logins off; give the host a key and take {name} out."]
        if name
        else []
    )


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Ansible's entry point."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the failures; the role decides what to do about them."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        timeout, version = int(self._task.args["timeout"]), str(self._task.args["debian"])
        # The hosts that --limit leaves.
        hosts = {host: variables["hostvars"][host] for host in variables["ansible_play_hosts_all"]}
        local = [host for host in hosts if hosts[host].get("ansible_connection") == "local"]
        remote = [host for host in hosts if hosts[host].get("ansible_connection", "ssh") in ("ssh", "smart")]
        failures = [sentence for host in remote for sentence in password_login(host, hosts[host])]

        arguments = constants.config.get_config_value("ssh_args", plugin_type="connection", plugin_name="ssh") or ""
        user, key = self._play_context.remote_user or "", self._play_context.private_key_file or ""
        asked = [host for host in remote if not password_login(host, hosts[host])]
        commands = [ssh_command(connection(host, hosts[host]), user, key, arguments, timeout) for host in asked]
        with ThreadPoolExecutor(max(len(asked), 1)) as pool:
            answers = list(pool.map(ask, asked, commands, repeat(timeout)))
        answers += [Answer(host, "localhost", text=Path("/etc/os-release").read_text()) for host in local]

        silent = {answer.host: unreachable(answer) for answer in answers if answer.error}
        failures += [sentence for answer in answers for sentence in wrong_system(answer, version)]
        failures += [
            sentence
            for answer in answers
            for sentence in locked_out(answer, self._firewall_rules(answer.host, variables))
        ]
        if not self._task.args["allow_unreachable"]:
            failures += [sentence for answer in answers for sentence in wrong_way(answer)]
            failures += [] if failures else too_many(silent, list(hosts), variables["groups"])
        return result | {"failures": failures, "silent": silent}

    def _firewall_rules(self, host: str, variables: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
        """What role base is going to open on `host`; None while the port matrix itself is wrong, which another check tells."""
        names = ("fleet_ports", "groups", "fleet_addresses", "fleet_admin_networks")
        try:
            ports, groups, addresses, networks = (self._templar.template(variables[name]) for name in names)
            rules: Sequence[Mapping[str, Any]] = filter_loader.get("firewall_rules").j2_function(
                ports, host, groups, addresses, networks
            )
        except (AnsibleError, KeyError, TypeError):
            return None
        return rules


def connection(host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The connection variables of a host, read once: every look-up templates."""
    names = ("user", "ssh_private_key_file", "port", "ssh_common_args", "ssh_extra_args", "ssh_args")
    way = {f"ansible_{name}": variables.get(f"ansible_{name}") for name in names}
    way["ansible_ssh_private_key_file"] = way["ansible_ssh_private_key_file"] or variables.get(
        "ansible_private_key_file"
    )
    return way | {"ansible_host": variables.get("ansible_host") or host}
