"""The module that waits until services stay up after a switch."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.filter.units import not_up
from tests.unit.roles.modules import Run, load
from tools.fleet.context import ROOT

stays = load(ROOT / "plugins/modules/units_stay_up.py")


def watched(states: list[str], run_module: Run, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the module finds if systemd reports these states, each with its number of starts."""
    clock = iter(range(1000))
    left = iter(states)
    last = [""]

    def run_command(_: Any, command: list[str], **__: Any) -> tuple[int, str, str]:
        if command[0] == "journalctl":
            return 0, "Traceback (most recent call last):\n  …\nValueError: no queue\n", ""
        last[0] = next(left, last[0])
        state, starts = last[0].split()
        text = f"Id=a.service\nActiveState={state}\nLoadState=loaded\nInvocationID={starts}\n"
        return 0, f"{text}NRestarts={starts}\nExecMainStatus=1\nResult=exit-code\n", ""

    monkeypatch.setattr(stays.AnsibleModule, "run_command", run_command)
    monkeypatch.setattr(stays.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(stays.time, "sleep", lambda _: None)
    return run_module(stays, {"units": ["a.service"], "seconds": 5, "timeout": 60})


@pytest.mark.parametrize(
    ("states", "down"),
    [
        (["active 0"], {}),
        (["activating 0", "active 0"], {}),
        (["active 0", "activating 1", "active 1"], {}),
        (["active 0", "activating 1", "active 2"], {"a.service": "ends soon after its start: systemd has started it "}),
        (["failed 0"], {"a.service": "is failed (result exit-code, exit status 1)"}),
        (["inactive 0"], {"a.service": "is inactive (result exit-code, exit status 1)"}),
    ],
)
def test_a_service_is_up_if_it_stays_so(
    states: list[str], down: dict[str, str], run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = watched(states, run_module, monkeypatch)
    assert found["down"].keys() == down.keys()
    for unit, begin in down.items():
        assert found["down"][unit].startswith(begin)
        sentence = not_up(found, "worker1")
        assert sentence.startswith(f"a on worker1 {begin}")
        assert "Its log: ValueError: no queue. `journalctl -u a.service -n 50` on worker1" in sentence
