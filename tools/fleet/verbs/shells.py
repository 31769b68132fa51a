"""Runs commands on hosts: in this terminal, or on several hosts at the same time."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tools.fleet.context import Fleet, FleetError
from tools.fleet.inventory import Inventory, Shell, read
from tools.fleet.status import probe_hosts
from tools.fleet.table import sorted_by_tier
from tools.fleet.view import State

# Seconds for a login to a host that may be down.
LOGIN_TIMEOUT = 6
# Follows the password of sudo on standard input.
BEGIN = "FLEET-BEGIN"


def answers(shell: Shell) -> bool:
    """Whether a host runs a command."""
    try:
        # With an input of its own, because ssh would swallow the one that is meant for the operator's command.
        result = subprocess.run(
            [*shell.command, "true"], input=b"", capture_output=True, timeout=LOGIN_TIMEOUT, check=False
        )
        return result.returncode == 0
    except subprocess.TimeoutExpired:
        return False


def choose(inventory: Inventory, group: str, wanted: str = "") -> str:
    """Return the host that somebody wants, or the first host of a group that answers."""
    names = [host.name for host in sorted_by_tier(inventory.hosts) if group in host.groups]
    if wanted and wanted not in names:
        raise FleetError(f"--host {wanted} is not in the group {group}; use one of {', '.join(names)}.")
    if not names:
        raise FleetError(f"The inventory has no host in the group {group}; add one.")
    if wanted or len(names) == 1:
        return wanted or names[0]
    with ThreadPoolExecutor(len(names)) as pool:
        alive = pool.map(lambda name: answers(inventory.shells[name]), names)
        found = [name for name, answer in zip(names, alive, strict=True) if answer]
    if not found:
        raise FleetError(f"None of {', '.join(names)} answers over SSH; `bin/fleet status` shows what is wrong.")
    return found[0]


def leader(fleet: Fleet, service: str, group: str, replica: bool = False) -> tuple[Inventory, str]:
    """Return the inventory, and the host that leads a service now, or a replica that follows it."""
    inventory = read(fleet)
    hosts = [host for host in sorted_by_tier(inventory.hosts) if group in host.groups]
    view = probe_hosts(hosts, inventory.shells, "", inventory.settings)
    state = State(hosts, view)
    leaders = state.leaders(service, group)
    if not replica:
        if len(leaders) != 1:
            what = "no host" if not leaders else f"several hosts ({', '.join(leaders)})"
            raise FleetError(f"{service} is led by {what}; `bin/fleet status` shows the next step.")
        return inventory, leaders[0]
    followers = [name for name, facts in state.answering(group) if facts.get(service) and name not in leaders]
    if not followers:
        raise FleetError(f"{service} has no replica that answers; leave out --replica to use {leaders or 'none'}.")
    return inventory, followers[0]


def as_root(shell: Shell, command: str, terminal: bool = False) -> str:
    """Return the shell script that runs a shell command as root.

    On a terminal, sudo asks for its password. Otherwise standard input must begin with what `preface` returns.
    """
    become = [word for word in shell.become if word not in ("-n", "-S", "-p", "")] if terminal else shell.become
    if not terminal and shell.password:
        # sudo has read the password only if it needed it.
        command = f"""until [ "$line" = {BEGIN} ]; do IFS= read -r line || exit; done; {command}"""
    return f"""[ "$(id -u)" = 0 ] || set -- {shlex.join(become)}; exec "$@" sh -c {shlex.quote(command)}"""


def preface(shell: Shell) -> str:
    """Return the beginning of the standard input of a command as root."""
    return f"{shell.password}\n{BEGIN}\n" if shell.password else ""


def command_line(shell: Shell, script: str, *options: str) -> list[str]:
    """Return the words that run a shell script on a host, with further options of ssh."""
    program, *arguments = shell.command
    # If an option is given twice, ssh uses the first.
    options = ("-o", "LogLevel=ERROR", *options) if program == "ssh" else ()
    # One word of `sh`, for the login shells of others.
    return [program, *options, *arguments, shlex.join(["sh", "-c", script])]


def attach(shell: Shell, command: str) -> int:
    """Run a shell command as root in this terminal. Return its exit code, unless it replaces this process."""
    sys.stdout.flush()
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    # Unlike Ansible, a person can type the passphrase of a key.
    options = ["-o", "BatchMode=no", "-tt" if terminal else "-T"]
    words = command_line(shell, as_root(shell, command, terminal), *options)
    if terminal or not shell.password:
        os.execvp(words[0], words)
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.stdin
        with suppress(BrokenPipeError):
            process.stdin.write(preface(shell).encode())
            shutil.copyfileobj(sys.stdin.buffer, process.stdin)
            process.stdin.close()
        return process.wait()


def output(shell: Shell, command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a shell command as root, with a text on standard input, and return what it printed."""
    words = command_line(shell, as_root(shell, command))
    return subprocess.run(words, input=preface(shell) + given, capture_output=True, text=True, check=False)


def keep(shell: Shell, host: str, text: str) -> str:
    """Write a secret text into a file of root on a host, and return its path. It is on no disk."""
    kept = output(shell, "umask 077; file=$(mktemp /run/fleet-verb.XXXXXXXX) && cat >$file && echo $file", text)
    if kept.returncode != 0 or not kept.stdout:
        raise FleetError(f"{host} keeps no file: {kept.stderr.strip()}; check sudo and the space in /run there.")
    return shlex.quote(kept.stdout.strip())


def in_application(inventory: Inventory, words: Sequence[str]) -> str:
    """Return the script that runs a command as the application would."""
    return shlex.join([f"/usr/local/sbin/{inventory.value('app_name')}", *words])


def note(message: str) -> None:
    """Print a line for a person: not on standard output, which a program may read."""
    if sys.stderr.isatty():
        print(message, file=sys.stderr, flush=True)
