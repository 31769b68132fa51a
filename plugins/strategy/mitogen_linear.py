"""Mitogen's linear strategy where it is installed and works, Ansible's own otherwise.

``strategy = mitogen_linear`` in ansible.cfg names this file. Set ``ANSIBLE_STRATEGY=linear`` to go without Mitogen.
"""

from __future__ import annotations

import gc

from ansible.plugins.loader import filter_loader, test_loader
from ansible.utils.display import Display

DOCUMENTATION = """
name: mitogen_linear
short_description: Linear execution through Mitogen's persistent interpreters, or plain linear without it
description:
  - Runs every task on all hosts before the next one, like P(ansible.builtin.linear#strategy).
  - Uses Mitogen when the control node has a version that knows the installed ansible-core, else falls back with a warning.
author: The Flaskfleet developers
"""

try:
    from ansible_mitogen import affinity
    from ansible_mitogen.plugins.strategy.mitogen_linear import StrategyModule
except Exception as error:  # any failure of an optional accelerator must leave the plain way open
    from ansible.plugins.strategy.linear import StrategyModule

    Display().warning(f"Mitogen is not usable ({error}); running over plain SSH, which is slower.")

else:
    # Mitogen ties each of its processes to one processor, and what they start to all but the first. On two processors that leaves one
    # to all workers and to whatever a play starts here: hosts that are containers, as molecule's, would never see the other.
    affinity.policy = affinity.Policy()

# Ansible forks a worker per host and task, and each would import all filters and tests when it meets the first one. Imported here,
# once, they are there in every worker: an unchanged run of role base takes 11 instead of 17 seconds of CPU on seven hosts.
# The same workers live for milliseconds: collecting garbage in one only copies the pages that it shares with its parent.
gc.set_threshold(100_000, 50, 50)
filter_loader.get("dict2items")
test_loader.get("search")

__all__ = ["DOCUMENTATION", "StrategyModule"]
