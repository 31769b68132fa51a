"""Check every host in parallel: does it answer, can Ansible work on it, and will its new firewall still let us in?"""

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.loader import filter_loader

from plugins import first_run, restores, settings
from plugins.clocks import wrong_clock
from plugins.control_node import ControlNodeAction
from plugins.folders import not_shared, wrong_numbers
from plugins.ports import taken_by_another
from plugins.silent import too_many_silent
from plugins.ssh import become_command, ssh_command

# `$SSH_CONNECTION` is "client port server port" as the host sees it, and so will its firewall.
# SET_UP is a file of role base, LISTENS are the ports in use, IDENTITY and ADDRESS are records of roles postgres and
# base. TIERS are files of the roles with data, SERVES is a release. RESTORE and MASKED are what a restore in place
# leaves until it is complete. APP_USER is the number of the application's user, and APP_USER_ID the user that has its
# future number. A dead file server must not delay MOUNT. Standard input has the password of sudo. On one line, for the
# login shells of others.
PROBE = r"""
cat /etc/os-release
echo "SSH_CONNECTION=$SSH_CONNECTION"
echo "LOGIN=$(id -un)"
echo "CLOCK=$(date +%s)"
[ ! -e /etc/ssh/sshd_config.d/00-fleet.conf ] || echo SET_UP=yes
echo "LISTENS=$(ss -Htln 2>/dev/null | awk '{print $4}' | sed 's/.*://' | sort -u | tr '\n' ' ')"
echo "APP_SOCKET=$(systemctl show --property=Listen --value app.socket 2>/dev/null | tr '\n' ' ')"
echo "TIERS=$(cd /etc/systemd/system && ls -d {tiers} 2>/dev/null | tr '\n' ' ')"
echo "SERVES=$(ls -d /opt/*/current/release.env 2>/dev/null | tr '\n' ' ')"
echo "RESTORE=$(cat /var/lib/flaskfleet/restore.json 2>/dev/null)"
[ "$(readlink /etc/systemd/system/patroni.service)" != /dev/null ] || echo MASKED=yes
echo "IDENTITY=$(cat /etc/patroni/identity.json 2>/dev/null)"
echo "APP_USER=$(id -u {app_user} 2>/dev/null)"
echo "APP_USER_ID=$(id -nu {app_user_id} 2>/dev/null)"
echo "MOUNT=$(timeout -s KILL 5 findmnt -nro FSTYPE,UUID --mountpoint {mount} 2>/dev/null | tail -n 1)"
sed -n '/BEGIN of the fleet/,/END of the fleet/s/^\([0-9.]*\) \(.*\)$/ADDRESS \2=\1/p' /etc/hosts
[ "$(id -u)" = 0 ] || output=$({become} 2>&1) || echo "BECOME_ERROR=$(echo "$output" | tail -n 1)"
output=$({python} -c pass 2>&1) || echo "PYTHON_ERROR=$(echo "$output" | tail -n 1)"
""".strip().replace("\n", "; ")
# Errors of ssh that mean that the host is down. Others, such as a rejected key, are mistakes in the inventory.
DOWN = re.compile(r"timed out|No route to host|Connection (refused|reset|closed)|Host is down|no answer within")
# What ssh adds when its jump host has failed. The line before has the cause.
CONSEQUENCE = re.compile(
    r"kex_exchange_identification: |stdio forwarding failed|Connection (closed by|to) UNKNOWN port"
)
PASSWORDS = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
# ssh must never ask: a jump host of `ssh -J` does not get the option BatchMode.
ENVIRONMENT = {**os.environ, "SSH_ASKPASS_REQUIRE": "never"}


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

    @property
    def where(self) -> str:
        """The host with its address."""
        return f"{self.host} (ansible_host = {self.target})"


# Added to the connection timeout: a busy host needs more time for the handshake, but is not down.
HANDSHAKE_SECONDS = 20


def probe_script(variables: Mapping[str, Any], become: Sequence[str]) -> str:
    """The probe for one host: it becomes root and starts Python like Ansible does."""
    python = str(variables.get("ansible_python_interpreter") or constants.INTERPRETER_PYTHON)
    python = "/usr/bin/python3" if python.startswith("auto") else python
    words = {"become": shlex.join(become), "python": shlex.quote(python), "tiers": " ".join(first_run.DATA.values())}
    for word, name in (("mount", "app_shared_mount"), ("app_user", "app_user"), ("app_user_id", "app_user_id")):
        words[word] = "''"
        with suppress(AnsibleError):  # fleet_check_variables reports a variable that has no value
            words[word] = shlex.quote(str(variables.get(name, "")))
    return re.sub(rf"\{{({'|'.join(words)})\}}", lambda word: words[word[1]], PROBE)


def cause(stderr: str, status: int) -> str:
    """The line of ssh's output that explains a failure."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    causes = [line for line in lines if not CONSEQUENCE.match(line)] or lines
    return causes[-1] if causes else f"ssh exited with status {status}"


def probe(host: str, target: str, command: Sequence[str], password: str, timeout: int) -> Answer:
    """Run one probe. A host that accepts the connection and then stays silent counts as down."""
    timeout += HANDSHAKE_SECONDS
    try:
        done = subprocess.run(
            command,
            input=f"{password}\n",
            env=ENVIRONMENT,
            start_new_session=True,  # without a terminal to ask on
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(host, target, error=f"no answer within {timeout} s")
    if done.returncode != 0:
        return Answer(host, target, error=cause(done.stderr, done.returncode))
    return Answer(host, target, text=done.stdout)


def unreachable(answer: Answer) -> str:
    """The beginning of a sentence about a host that did not answer."""
    return f"{answer.where} does not answer over SSH: {answer.error}"


def wrong_connection(answer: Answer) -> list[str]:
    """A sentence if the host is not down, but its connection variables are wrong."""
    if not answer.error or DOWN.search(answer.error):
        return []
    return [f"{unreachable(answer)}; correct its connection variables."]


def cannot_work(answer: Answer) -> list[str]:
    """A sentence for each reason why Ansible cannot work on a host that answers."""
    failures = []
    if error := answer.fields.get("BECOME_ERROR"):
        failures.append(
            f"{answer.where} does not let {answer.fields['LOGIN']} become root: {error}; correct "
            "ansible_become_password or the answer to --ask-become-pass, or allow it without a password in sudoers."
        )
    if error := answer.fields.get("PYTHON_ERROR"):
        failures.append(
            f"{answer.where} cannot start the Python of ansible_python_interpreter: {error}; install it there with "
            "'apt-get install python3', or correct the variable."
        )
    return failures + wrong_clock(answer.where, answer.fields.get("CLOCK", ""))


def set_up(answers: Iterable[Answer]) -> dict[str, bool]:
    """Whether role base has run, for each host that answers."""
    return {answer.host: "SET_UP" in answer.fields for answer in answers if not answer.error}


def wrong_system(answer: Answer, version: str) -> list[str]:
    """A sentence if the host does not run the supported version of Debian."""
    found = (answer.fields.get("ID"), answer.fields.get("VERSION_ID"))
    if answer.error or found == ("debian", version):
        return []
    name = answer.fields.get("PRETTY_NAME", "unknown")
    return [
        f"{answer.where} runs {name} instead of preflight_debian_version = {version}; install Debian {version} on it."
    ]


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
    remote = variables.get("ansible_connection", "ssh") in ("ssh", "smart")
    name = next((name for name in PASSWORDS if remote and variables.get(name)), None)
    return (
        [f"{host}: {name} is set, but role base disables password logins; give the host a key and remove {name}."]
        if name
        else []
    )


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Return the failures; the role decides what to do about them."""
        version = str(self.arguments["debian"])
        # Only the hosts that --limit selects.
        hosts = {host: self.variables["hostvars"][host] for host in self.variables["ansible_play_hosts_all"]}
        failures = self._password_logins(hosts)
        answers = self._answers(hosts)
        left_out = [host for host in self.variables["groups"]["all"] if host not in hosts]
        records = {answer.host: answer.fields for answer in answers if not answer.error}
        # If this run has only new hosts, or only new hosts of a group, is there a fleet, and are there others?
        new_groups = first_run.new_groups(self.variables["groups"], records)
        others = left_out if new_groups or not any(set_up(answers).values()) else []
        other_answers = self._answers({host: self.variables["hostvars"][host] for host in others})
        elsewhere = set_up(other_answers)

        silent = {answer.host: unreachable(answer) for answer in answers if answer.error}
        failures += [sentence for answer in answers for sentence in wrong_system(answer, version)]
        failures += [sentence for answer in answers for sentence in cannot_work(answer)]
        failures += first_run.refused(self.arguments["new_hosts"], set_up(answers), elsewhere, left_out)
        failures += [each for answer in answers for each in locked_out(answer, self._firewall_rules(answer.host))]
        app_port = str(self.values(["app_port"]).get("app_port", ""))
        serving = [answer for answer in answers if answer.host in self.variables["groups"].get("app", [])]
        failures += [
            sentence for answer in serving for sentence in taken_by_another(answer.fields, answer.host, app_port)
        ]
        if self.arguments["installs_release"]:
            given = ("app_shared_mount", "app_user", "app_user_id")
            shared = self.values([*given, "app_members", "app_worker_members"])
            mount, user, number = (str(shared.pop(name, "")) for name in given)
            names = dict.fromkeys(member["name"] for group in shared.values() for member in group)
            found = {name: records[name] for name in names if name in records}
            failures += not_shared(mount, {name: fields.get("MOUNT", "") for name, fields in found.items()})
            accounts = {
                name: (fields.get("APP_USER", ""), fields.get("APP_USER_ID", "")) for name, fields in found.items()
            }
            failures += wrong_numbers(user, number, mount, accounts)
        if not self.arguments["allow_empty_groups"]:
            known = records | {answer.host: answer.fields for answer in other_answers if not answer.error}
            failures += first_run.emptied(new_groups, self.variables["groups"], known)
        if self.arguments["uses_database"]:
            fleet = str(self.values(["fleet_name"]).get("fleet_name", ""))
            failures += restores.unfinished(records, self.arguments["restore_from"], fleet)
        addresses = {host: str(address) for host, address in self.of_hosts("fleet_address", records).items() if address}
        kept = settings.kept_defaults(self.arguments["root"]) | self.values(settings.KEPT)
        failures += settings.moved_data(records, addresses, self.variables["groups"], kept)
        if not self.arguments["allow_unreachable"]:
            failures += [sentence for answer in answers for sentence in wrong_connection(answer)]
            down = [unreachable(answer) for answer in answers if answer.error and not wrong_connection(answer)]
            failures += first_run.without(down, [*set_up(answers).values(), *elsewhere.values()])
            failures += [] if failures else too_many_silent(silent, list(hosts), self.variables["groups"])
        return {"failures": failures, "silent": silent}

    def _password_logins(self, hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
        failures = []
        for host, variables in hosts.items():
            with suppress(AnsibleError):
                failures += password_login(host, variables)
        return failures

    def _answers(self, hosts: Mapping[str, Mapping[str, Any]]) -> list[Answer]:
        """The answers of hosts that Ansible reaches by SSH with a key, or on this machine."""
        kinds = ("ssh", "smart", "local")
        probes = []
        for host, variables in hosts.items():
            # fleet_check_variables reports connection variables without a value.
            with suppress(AnsibleError):
                if variables.get("ansible_connection", "ssh") in kinds and not password_login(host, variables):
                    probes.append(self._probe(host, variables, int(self.arguments["timeout"])))
        with ThreadPoolExecutor(max(len(probes), 1)) as pool:
            return list(pool.map(lambda run: run(), probes))

    def _probe(self, host: str, variables: Mapping[str, Any], timeout: int) -> Callable[[], Answer]:
        """A function that runs the probe of one host. It reads no variables, so that it can run in a thread."""
        become, password = become_command(variables, self._play_context)
        shell = ["sh", "-c", probe_script(variables, become)]
        if variables.get("ansible_connection") == "local":
            # Without this terminal's own SSH connection, which the firewall of `host` has nothing to do with.
            return partial(probe, host, "localhost", ["env", "-u", "SSH_CONNECTION", *shell], password, timeout)
        command = ssh_command(host, variables, self._play_context, timeout)
        return partial(probe, host, command[-1], [*command, shlex.join(shell)], password, timeout)

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
