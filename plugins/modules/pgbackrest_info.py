#!/usr/bin/python
"""Query the repository of pgBackRest for its backups."""

import tempfile
from contextlib import ExitStack

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: pgbackrest_info
short_description: Query the repository of pgBackRest for its backups
description:
  - Runs C(pgbackrest info) and returns what it printed, also if it fails. With a wrong cipher pass it prints bytes that
    are no text, which are replaced.
options:
  stanza:
    description: Name of the stanza.
    type: str
    required: true
  config:
    description: A configuration to use instead of the host's own. It is written to a temporary file.
    type: str
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Query the repository
  pgbackrest_info:
    stanza: main
  become: true
  become_user: postgres
"""

RETURN = r"""
rc:
  description: Exit code.
  returned: always
  type: int
stdout:
  description: The backups as JSON.
  returned: always
  type: str
stderr:
  description: Errors and warnings.
  returned: always
  type: str
"""


def printable(output: bytes) -> str:
    """Return an output without the bytes that are no text."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else "?" for letter in output.decode(errors="replace")
    )


def main() -> None:
    """Run the module."""
    arguments = {"stanza": {"type": "str", "required": True}, "config": {"type": "str", "no_log": True}}
    module = AnsibleModule(arguments, supports_check_mode=True)
    command = ["pgbackrest", f"--stanza={module.params['stanza']}", "--io-timeout=10", "--log-level-console=warn"]
    command += ["--output=json", "info"]
    if not module.get_bin_path("pgbackrest"):
        module.exit_json(changed=False, rc=127, stdout="", stderr="pgBackRest is not installed on this host")
    with ExitStack() as stack:
        if module.params["config"]:
            file = stack.enter_context(tempfile.NamedTemporaryFile("w"))
            file.write(module.params["config"])
            file.flush()
            command.append(f"--config={file.name}")
        code, out, error = module.run_command(command, cwd="/", encoding=None)
    module.exit_json(changed=False, rc=code, stdout=printable(out), stderr=printable(error))


if __name__ == "__main__":
    main()
