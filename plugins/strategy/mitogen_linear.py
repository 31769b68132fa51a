"""Mitogen's linear strategy if it is installed and works, otherwise Ansible's own.

``strategy = mitogen_linear`` in ansible.cfg names this file. Set ``ANSIBLE_STRATEGY=linear`` to disable Mitogen.
"""

import gc

from ansible.plugins.loader import filter_loader, test_loader
from ansible.utils.display import Display

DOCUMENTATION = """
name: mitogen_linear
short_description: Linear execution through Mitogen's persistent interpreters, or plain linear without it
description:
  - Runs every task on all hosts before the next one, like P(ansible.builtin.linear#strategy).
  - Uses Mitogen if the control node has a version that supports the installed ansible-core.
  - Otherwise it falls back with a warning.
author: The Flaskfleet developers
"""

try:
    from ansible_mitogen import affinity
    from ansible_mitogen.plugins.strategy.mitogen_linear import StrategyModule
except Exception as error:  # Mitogen only saves time, so no failure of it may stop a run
    from ansible.plugins.strategy.linear import StrategyModule

    Display().warning(f"Mitogen does not work ({error}); using plain SSH, which is slower.")

else:
    # Mitogen pins each of its processes to one CPU, and their children to all CPUs but the first. With two CPUs, all
    # workers would share one, and so would everything that a play starts here, such as Molecule's containers. This
    # policy pins nothing.
    affinity.policy = affinity.Policy()

# Ansible forks a worker for each host and task, and each worker would import all filters and tests at first use.
# Importing them before the fork saves that: an unchanged run of role base takes 11 instead of 17 seconds of CPU on
# seven hosts. The workers live for milliseconds, so garbage collection there would only copy the pages that they share
# with their parent.
gc.set_threshold(100_000, 50, 50)
filter_loader.get("dict2items")
test_loader.get("search")

__all__ = ["DOCUMENTATION", "StrategyModule"]
