"""A fleet that is fully redundant again survives the next failure, however soon it comes."""

from contextlib import ExitStack

import pytest

from tests.support.drills import faults
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import eventually


def power_off(runner: DrillRunner, stack: ExitStack, names: set[str], order: str) -> None:
    """Power off hosts together, or one after another. The stack powers them on, in the reverse order."""
    databases = {host.name for host in runner.group("postgres")}
    batches = [names] if order == "together" else [names & databases, names - databases]
    for batch in batches if order != "database-last" else reversed(batches):
        stack.enter_context(faults.powered_off(runner.fleet, *(runner.fleet.hosts[name] for name in sorted(batch))))


@pytest.mark.parametrize("order", ["together", "database-first", "database-last"])
def test_the_leaders_may_die_as_soon_as_the_fleet_is_fully_redundant_again(runner: DrillRunner, order: str) -> None:
    runner.wait_until_redundant(120)
    leaders, followers = runner.leading_half(), runner.other_half()
    standby = runner.standby.name
    with ExitStack() as stack:
        power_off(runner, stack, followers, order)
        # Patroni removes the standby from the list of those that it may promote.
        assert eventually(lambda: "no standby is synchronous" in runner.missing(), within=60), runner.missing()
    runner.wait_until_redundant(120)
    with ExitStack() as stack:
        power_off(runner, stack, leaders, order)
        assert eventually(lambda: runner.leaders("postgres") == {standby}, within=60), runner.missing()
        assert eventually(lambda: len(runner.leaders("store")) == 1, within=60), runner.missing()
    runner.wait_until_redundant(120)
