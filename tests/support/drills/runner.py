"""Runs a drill: a load on a fully redundant fleet, one fault, and the verdict after full redundancy is back."""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from uuid import uuid4

from tests.support.drills import verdict
from tests.support.drills.background import plan_load, running
from tests.support.drills.drill import Drill
from tests.support.drills.observer import Observer
from tests.support.drills.verdict import RESULTS, Verdict
from tests.support.live.clients import visitor
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import Host
from tools.fleet.troubles import missing
from tools.fleet.view import is_leader

LEADERS = ("postgres", "store", "cache", "vip")
RATES = {"read": 20.0, "write": 10.0, "session": 2.0}
# Seconds of load before the fault, and after the fleet is fully redundant again.
BEFORE, AFTER = 2.0, 1.0
# Seconds after which a load ends by itself, so that it cannot outlive a failed drill.
MAX_LOAD_SECONDS = 1800.0


class DrillRunner:
    """A running fleet with an observer and a user who is logged in to the site."""

    # The leaders at the start of the drill, by role.
    leaders_before: Mapping[str, set[str]]

    def __init__(self, fleet: LiveFleet, observer: Observer, api_key: str) -> None:
        self.fleet, self.observer = fleet, observer
        self.plan = plan_load(fleet, api_key, RATES, MAX_LOAD_SECONDS)

    def run(self, drill: Drill, round_: int) -> Verdict:
        """Run a drill. Return the verdict, and store it as JSON."""
        self.wait_until_redundant(120)
        with drill.prepare(self):
            self.wait_until_redundant(120)
            return self._run(drill, round_)

    def _run(self, drill: Drill, round_: int) -> Verdict:
        self.leaders_before = {role: self.leaders(role) for role in LEADERS}
        plan = replace(self.plan, run=f"drill-{uuid4().hex[:8]}")
        with running(plan, RESULTS) as records:
            time.sleep(BEFORE)
            began = time.time()
            with drill.fault(self) as extra:
                drill.hold(self)
            healed = began if drill.heals_itself else time.time()
            redundant = self.wait_until_redundant(drill.timeout)
            time.sleep(AFTER)
            end = time.time()
        first_attempts = [record for record in records if record["kind"] != "settle"]
        during = [record for record in first_attempts if record["due"] >= began]
        failed = [record for record in during if not verdict.succeeded(record)]
        # How often the database has each number.
        stored = Counter(int(title.rpartition("-")[2]) for title in self._titles(f"and title like '{plan.run}-%'"))
        lost, doubled, unsettled = verdict.count_lost_and_doubled(records, stored)
        samples = self.observer.between(began - BEFORE, end)
        with visitor(self.fleet, Cookie=plan.cookie) as client:
            session_lost = client.get("/account").status_code != 200
        result = Verdict(
            drill=drill.name,
            round=round_,
            write_gap=round(verdict.max_gap(records, {"write"}, began, end), 2),
            read_gap=round(verdict.max_gap(records, {"read"}, began, end), 2),
            sent=verdict.count(during),
            failed=verdict.count(failed),
            reasons=verdict.reasons(failed),
            lost=lost,
            doubled=doubled,
            open=unsettled,
            session_lost=session_lost,
            max_primaries=verdict.max_primaries(samples),
            redundant_after=round(redundant - healed, 1),
            load_average=round(os.getloadavg()[0], 1),
            last_problems=self.last_problems,
            extra=dict(extra or {}),
        )
        # Times are relative to the fault.
        timeline = {
            "healed": round(healed - began, 2),
            "redundant": round(redundant - began, 2),
            "requests": [[r["kind"], round(r["end"] - began, 3), verdict.succeeded(r)] for r in first_attempts],
            "roles": {role: verdict.leaderships(samples, role, began) for role in LEADERS},
        }
        path = RESULTS / f"{drill.name}-{round_}.json"
        path.write_text(json.dumps({"verdict": asdict(result), "timeline": timeline}))
        return result

    def group(self, name: str) -> list[Host]:
        """Return the hosts of a tier."""
        return self.fleet.group(name)

    def leaders(self, role: str) -> set[str]:
        """Return the names of the hosts that now accept writes, or have the virtual address."""
        return {name for name, facts in self.observer.now().items() if role in facts and is_leader(facts[role])}

    def leader(self, role: str) -> Host:
        """Return the only leader."""
        (name,) = self.leaders(role)
        return self.fleet.hosts[name]

    def leading_half(self) -> set[str]:
        """Return one host of every tier that has two: its leader, or its first host."""
        leaders = {name for role in ("postgres", "store", "vip") for name in self.leaders(role)}
        return leaders | {self.group("app")[0].name}

    def other_half(self) -> set[str]:
        """Return the other host of every tier that has two."""
        pairs = ("postgres", "redis", "loadbalancers", "app")
        return {host.name for group in pairs for host in self.group(group)} - self.leading_half()

    @property
    def standby(self) -> Host:
        """A Postgres host that is not the primary."""
        return next(host for host in self.group("postgres") if host.name not in self.leaders("postgres"))

    def missing(self) -> list[str]:
        """Return what keeps the fleet from full redundancy now."""
        return missing(self.fleet.hosts.values(), self.observer.now())

    def wait_until_redundant(self, within: float) -> float:
        """Return the time at which the fleet is fully redundant. Fail if it is not after `within` seconds."""
        self.last_problems: list[str] = []

        def redundant() -> float | None:
            problems = self.missing()
            self.last_problems = problems or self.last_problems
            return None if problems else time.time()

        at = eventually(redundant, within=within)
        assert at is not None, f"not fully redundant within {within:.0f} s: {self.missing()}"
        return at

    def unprocessed(self) -> list[str]:
        """Return the articles of all drills whose task has not run."""
        return self._titles("and (processed_at is null or summary = '')")

    def _titles(self, condition: str) -> list[str]:
        return self.fleet.sql(
            self.fleet.primary, f"select title from article where title like 'drill-%' {condition}"
        ).splitlines()
