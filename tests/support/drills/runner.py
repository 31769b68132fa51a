"""Runs a drill: a load on a fully redundant fleet, one fault, and the verdict after full redundancy is back."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from uuid import uuid4

from tests.support.drills import verdict
from tests.support.drills.background import running
from tests.support.drills.drill import Drill
from tests.support.drills.load import Plan
from tests.support.drills.observer import Observer, Sample
from tests.support.drills.verdict import Record, Verdict
from tests.support.live.clients import article_ids, log_in_as_admin, visitor
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import ROOT, Host
from tools.fleet.redundancy import is_leader, missing

RESULTS = ROOT / ".cache" / "drills"
LEADERS = ("postgres", "store", "cache", "vip")
RATES = {"read": 20.0, "write": 10.0, "session": 2.0}
# Seconds of load before the fault, and after the fleet is fully redundant again.
BEFORE, AFTER = 2.0, 1.0
# Seconds after which a load ends by itself, so that it cannot outlive a failed drill.
MAX_LOAD_SECONDS = 900.0


class DrillRunner:
    """A running fleet with an observer and a user who is logged in to the site."""

    # The leaders at the start of the drill, by role.
    leaders_before: Mapping[str, set[str]]

    def __init__(self, fleet: LiveFleet, observer: Observer, api_key: str) -> None:
        self.fleet, self.observer, self.api_key = fleet, observer, api_key
        with visitor(fleet) as client:
            self.articles = article_ids(client)
            self.cookie = log_in_as_admin(fleet, client)

    def run(self, drill: Drill, round_: int) -> Verdict:
        """Run a drill. Return the verdict, and store it as JSON."""
        self._assert_redundant()
        with drill.prepare(self):
            self._assert_redundant()
            return self._run(drill, round_)

    def _run(self, drill: Drill, round_: int) -> Verdict:
        self.leaders_before = {role: self.leaders(role) for role in LEADERS}
        run = f"drill-{uuid4().hex[:8]}"
        with self._load(run) as records:
            time.sleep(BEFORE)
            began = time.time()
            with drill.fault(self) as extra:
                drill.hold(self)
            healed = began if drill.heals_itself else time.time()
            redundant = self.wait_until_redundant(drill.timeout)
            assert redundant is not None, (
                f"not fully redundant {drill.timeout:.0f} s after {drill.name}: {self.missing()}"
            )
            time.sleep(AFTER)
            end = time.time()
        samples = self.observer.between(began - BEFORE, end)
        result = self._judge(drill, round_, run, records, samples, began, healed, redundant, end, dict(extra or {}))
        _store(result, records, samples, began, healed, redundant)
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

    def wait_until_redundant(self, within: float) -> float | None:
        """Return the time at which the fleet is fully redundant, or None after `within` seconds."""
        self.last_problems: list[str] = []

        def redundant() -> float | None:
            if not (problems := self.missing()):
                return time.time()
            self.last_problems = problems
            return None

        return eventually(redundant, within=within)

    def _assert_redundant(self) -> None:
        assert self.wait_until_redundant(120) is not None, f"not fully redundant before the drill: {self.missing()}"

    def unprocessed(self) -> list[str]:
        """Return the articles of all drills whose task has not run."""
        return self._titles("and (processed_at is null or summary = '')")

    @contextmanager
    def _load(self, run: str) -> Iterator[list[Record]]:
        """Send requests inside the context. Afterwards the list has their records."""
        url = f"https://{self.fleet.vip}"
        plan = Plan(url, run, self.api_key, self.cookie, self.articles, RATES, MAX_LOAD_SECONDS)
        with running(plan, RESULTS / f"{run}.jsonl") as records:
            yield records

    def _judge(
        self,
        drill: Drill,
        round_: int,
        run: str,
        records: list[Record],
        samples: list[Sample],
        began: float,
        healed: float,
        redundant: float,
        end: float,
        extra: dict[str, float],
    ) -> Verdict:
        first_attempts = [record for record in records if record["kind"] != "settle" and record["due"] >= began]
        failed = [record for record in first_attempts if not verdict.succeeded(record)]
        lost, doubled, unsettled = verdict.count_lost_and_doubled(records, self._found(run))
        return Verdict(
            drill=drill.name,
            round=round_,
            write_gap=round(verdict.max_gap(records, {"write"}, began, end), 2),
            read_gap=round(verdict.max_gap(records, {"read"}, began, end), 2),
            sent=verdict.count(first_attempts),
            failed=verdict.count(failed),
            reasons=verdict.reasons(failed),
            lost=lost,
            doubled=doubled,
            open=unsettled,
            session_lost=not self._session_is_valid(),
            max_primaries=verdict.max_primaries(samples),
            redundant_after=round(redundant - healed, 1),
            load_average=round(os.getloadavg()[0], 1),
            last_problems=self.last_problems,
            extra=extra,
        )

    def _found(self, run: str) -> dict[int, int]:
        """Count how often the database has each number of a run."""
        return Counter(int(title.rpartition("-")[2]) for title in self._titles(f"and title like '{run}-%'"))

    def _titles(self, condition: str) -> list[str]:
        return self.fleet.sql(
            self.fleet.primary, f"select title from article where title like 'drill-%' {condition}"
        ).splitlines()

    def _session_is_valid(self) -> bool:
        with visitor(self.fleet, Cookie=self.cookie) as client:
            return client.get("/account").status_code == 200


def _store(
    result: Verdict, records: list[Record], samples: list[Sample], began: float, healed: float, redundant: float
) -> None:
    """Store the verdict and the timeline, with times relative to the fault."""
    sent = [record for record in records if record["kind"] != "settle"]
    requests = [[record["kind"], round(record["end"] - began, 3), verdict.succeeded(record)] for record in sent]
    timeline = {
        "healed": round(healed - began, 2),
        "redundant": round(redundant - began, 2),
        "requests": requests,
        "roles": {role: verdict.leaderships(samples, role, began) for role in LEADERS},
    }
    path = RESULTS / f"{result.drill}-{result.round}.json"
    path.write_text(json.dumps({"verdict": asdict(result), "timeline": timeline}))
