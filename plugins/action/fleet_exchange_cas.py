"""Exchange the CA that signs certificates in the inventory's vault file, in two steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.parsing.vault import VaultLib

from plugins import certificates
from plugins.action.fleet_secrets import appended, locked, replace, without
from plugins.control_node import ControlNodeAction

DOCUMENTATION = r"""
module: fleet_exchange_cas
short_description: Exchange the CA that signs certificates, in the inventory's vault file
description:
  - The first step lets the waiting CA sign, and the one that has signed wait. Hosts trust both before and afterwards.
  - The second step, after every host has a certificate of the new one, generates another CA in place of the old one.
  - A variable in the vault file says that the first step was done, so a repetition goes on where a run was interrupted.
options:
  path: {description: The vault file, type: path, required: true}
  step: {description: The step, type: str, choices: [begin, finish], required: true}
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Let the waiting CA sign
  fleet_exchange_cas:
    path: "{{ secrets_file }}"
    step: begin
"""

RETURN = r"""
changed:
  description: Whether the file was written.
  type: bool
  returned: always
"""

SIGNS, WAITS = ("vault_certificates_ca_", "vault_certificates_next_ca_")
HALVES = ("key", "certificate")
# Set while the CA that has signed before is still trusted.
BEGUN = "vault_certificates_exchange"


def begun(text: str) -> str:
    """Return the file after the first step: unchanged if it was done before.

    Raises:
        ValueError: a CA is not in the file. The message has the fix.
    """
    present = yaml.safe_load(text) or {}
    names = [f"{stem}{half}" for stem in (SIGNS, WAITS) for half in HALVES]
    if missing := [name for name in names if name not in present]:
        raise ValueError(
            f"{' and '.join(missing)} are not in the file. Exchange a CA of your own where it is set "
            '(docs/security.md, "Another CA").'
        )
    if BEGUN in present:
        return text
    pairs = ((SIGNS, WAITS), (WAITS, SIGNS))
    exchanged = {f"{to}{half}": str(present[f"{source}{half}"]) for to, source in pairs for half in HALVES}
    return appended(without(text, names), exchanged | {BEGUN: "begun"})


def finished(text: str) -> str:
    """Return the file after the second step: unchanged if it was done before."""
    if BEGUN not in (yaml.safe_load(text) or {}):
        return text
    names = [f"{WAITS}{half}" for half in HALVES]
    pair = dict(zip(names, certificates.ca_pair(SIGNS), strict=True))
    return appended(without(text, [*names, BEGUN]), pair)


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Take the step, except in check mode."""
        path, step = Path(self.arguments["path"]), {"begin": begun, "finish": finished}[self.arguments["step"]]
        vault = VaultLib(self._loader._vault.secrets)
        if not path.exists():
            raise AnsibleActionFail(f"{path} does not exist, so the fleet has no CA yet; run site.yml first.")
        try:
            with locked(path.parent):
                before = vault.decrypt(path.read_bytes()).decode()
                after = step(before)
                if after != before and not self._task.check_mode:
                    replace(path, vault.encrypt(after))
        except (AnsibleError, OSError, ValueError) as error:
            raise AnsibleActionFail(f"{path}: {error}") from error
        return {"changed": after != before}
