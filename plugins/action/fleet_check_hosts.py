"""Check every host in parallel: does it answer, is it Debian 13, and will its new firewall still let us in?"""

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
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import filter_loader

from plugins.control_node import ControlNodeAction

# `$SSH_CONNECTION` is "client port server port" as the host sees it, and so will its firewall.
PROBE = 'cat /etc/os-release; echo "SSH_CONNECTION=$SSH_CONNECTION"'
ALLOW = "or continue without them with -e preflight_allow_unreachable=true"
# Errors of ssh that mean that the host is down. Others, such as a rejected key, are mistakes in the inventory.
DOWN = re.compile(r"timed out|No route to host|Connection (refused|reset|closed)|Host is down|no answer within")
# A run cannot succeed if a quorum has no majority, or if all hosts with the data are down.
QUORUMS, DATA = ("etcd", "sentinel"), ("postgres", "redis")
PASSWORDS = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")


@dataclass(frozen=True)
class Answer:
    """The output of a host, or the reason why there is none."""

    host: str
    target: str
    text: str = ""
    error: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """The NAME=value lines of the output."""
        lines = (line.partition("=") for line in self.text.splitlines())
        return {name: value.strip('"') for name, _, value in lines}


# Added to the connection timeout: a busy host needs more time for the handshake, but is not down.
HANDSHAKE_SECONDS = 20


def ssh_command(host: str, variables: Mapping[str, Any], play: PlayContext, timeout: int) -> list[str]:
    """The `ssh` command for one host, with the connection variables of Ansible and the options of its command line."""
    # Each variable is read only once, since each access renders a template.
    key = variables.get("ansible_ssh_private_key_file") or variables.get("ansible_private_key_file")
    options = {"-i": key or play.private_key_file, "-p": variables.get("ansible_port")}
    options["-l"] = variables.get("ansible_user") or play.remote_user
    settings = ("BatchMode=yes", f"ConnectTimeout={timeout}", "ControlMaster=no", "ControlPath=none")
    words = ["ssh", *(word for setting in settings for word in ("-o", setting))]
    words += [word for option, value in options.items() if value for word in (option, str(value))]
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        words += shlex.split(variables.get(name) or "")
    arguments = variables.get("ansible_ssh_args") or constants.config.get_config_value(
        "ssh_args", plugin_type="connection", plugin_name="ssh"
    )
    return [*words, *shlex.split(arguments or ""), str(variables.get("ansible_host") or host)]


def probe(host: str, command: Sequence[str], timeout: int) -> Answer:
    """Run one probe. A host that accepts the connection and then stays silent counts as down."""
    target = command[-2]
    timeout += HANDSHAKE_SECONDS
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return Answer(host, target, error=f"no answer within {timeout} s")
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()
        return Answer(host, target, error=reason[-1].strip() if reason else f"ssh exited with status {done.returncode}")
    return Answer(host, target, text=done.stdout)


def unreachable(answer: Answer) -> str:
    """The beginning of a sentence about a host that did not answer."""
    return f"{answer.host} (ansible_host = {answer.target}) does not answer over SSH: {answer.error}"


def wrong_connection(answer: Answer) -> list[str]:
    """A sentence if the host is not down, but its connection variables are wrong."""
    if not answer.error or DOWN.search(answer.error):
        return []
    return [f"{unreachable(answer)}; correct its connection variables."]


def too_many_silent(silent: Mapping[str, str], probed: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each reason why a run without the silent hosts cannot succeed."""
    failures = []
    for group in (*QUORUMS, *DATA):
        hosts = groups.get(group, [])
        down = [host for host in hosts if host in silent]
        if down and (2 * len(down) >= len(hosts) if group in QUORUMS else len(down) == len(hosts)):
            missing = "majority" if group in QUORUMS else "host that answers"
            failures.append(f"Group {group} has no {missing} without {', '.join(down)}; start them first, {ALLOW}.")
    if silent and not failures and len(silent) == len(probed):
        failures.append("No host answers; start one, or correct the connection variables.")
    return [f"{sentence}." for sentence in silent.values()] + failures if failures else []


def wrong_system(answer: Answer, version: str) -> list[str]:
    """A sentence if the host does not run the supported version of Debian."""
    found = (answer.fields.get("ID"), answer.fields.get("VERSION_ID"))
    if answer.error or found == ("debian", version):
        return []
    name = answer.fields.get("PRETTY_NAME", "unknown")
    where = f"{answer.host} (ansible_host = {answer.target})"
    return [f"{where} runs {name} instead of preflight_debian_version = {version}; install Debian {version} on it."]


def locked_out(answer: Answer, rules: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """A sentence if the new firewall would lock this control node out."""
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
    mistake = (
        f"is reached from {client}/{client.max_prefixlen}, which is not in fleet_admin_networks"
        if open_to
        else f"listens for SSH on port {port}, which neither fleet_ports nor fleet_extra_ports opens"
    )
    return [f"{answer.host} {mistake}; add it, or the new firewall locks Ansible out."]


def password_login(host: str, variables: Mapping[str, Any]) -> list[str]:
    """A sentence if Ansible logs in with a password, because role base disables password logins."""
    name = next((name for name in PASSWORDS if variables.get(name)), None)
    return (
        [f"{host}: {name} is set, but role base disables password logins; give the host a key and remove {name}."]
        if name
        else []
    )


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Return the failures; the role decides what to do about them."""
        timeout, version = int(self.arguments["timeout"]), str(self.arguments["debian"])
        # Only the hosts that --limit selects.
        hosts = {host: self.variables["hostvars"][host] for host in self.variables["ansible_play_hosts_all"]}
        local = [host for host in hosts if hosts[host].get("ansible_connection") == "local"]
        remote = [host for host in hosts if hosts[host].get("ansible_connection", "ssh") in ("ssh", "smart")]
        failures = [sentence for host in remote for sentence in password_login(host, hosts[host])]

        probed = [host for host in remote if not password_login(host, hosts[host])]
        commands = [[*ssh_command(host, hosts[host], self._play_context, timeout), PROBE] for host in probed]
        with ThreadPoolExecutor(max(len(probed), 1)) as pool:
            answers = list(pool.map(probe, probed, commands, repeat(timeout)))
        answers += [Answer(host, "localhost", text=Path("/etc/os-release").read_text()) for host in local]

        silent = {answer.host: unreachable(answer) for answer in answers if answer.error}
        failures += [sentence for answer in answers for sentence in wrong_system(answer, version)]
        failures += [
            sentence for answer in answers for sentence in locked_out(answer, self._firewall_rules(answer.host))
        ]
        if not self.arguments["allow_unreachable"]:
            failures += [sentence for answer in answers for sentence in wrong_connection(answer)]
            failures += [] if failures else too_many_silent(silent, list(hosts), self.variables["groups"])
        return {"failures": failures, "silent": silent}

    def _firewall_rules(self, host: str) -> Sequence[Mapping[str, Any]] | None:
        """The future firewall rules of `host`, or None if the port matrix is wrong, which another check reports."""
        names = ("fleet_ports", "groups", "fleet_addresses", "fleet_admin_networks")
        try:
            ports, groups, addresses, networks = (self._templar.template(self.variables[name]) for name in names)
            ports = ports + self._templar.template(self.variables.get("fleet_extra_ports", []))
            rules: Sequence[Mapping[str, Any]] = filter_loader.get("firewall_rules").j2_function(
                ports, host, groups, addresses, networks
            )
        except (AnsibleError, KeyError, TypeError):
            return None
        return rules
