"""The command that reaches a host, and the one that becomes root there, as Ansible's variables and options say."""

import shlex
from collections.abc import Mapping
from typing import Any

from ansible import constants
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader

BECOME_PASSWORDS = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
BECOME_PROGRAMS = ("ansible_become_exe", "ansible_sudo_exe")


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


def become_command(variables: Mapping[str, Any], play: PlayContext) -> tuple[list[str], str]:
    """The command that becomes root with the variables and options of Ansible, and the password for it.

    Other methods than sudo are not checked.
    """
    if (variables.get("ansible_become_method") or play.become_method or "sudo") != "sudo":
        return ["true"], ""
    plugin = become_loader.get("sudo")
    names = (*BECOME_PASSWORDS, *BECOME_PROGRAMS)
    plugin.set_options(var_options={name: value for name in names if (value := variables.get(name))})
    password = plugin.get_option("become_pass") or play.become_pass or ""
    program = shlex.split(plugin.get_option("become_exe"))
    return [*program, "-H", *(["-S", "-p", ""] if password else ["-n"]), "-u", "root", "true"], str(password)
