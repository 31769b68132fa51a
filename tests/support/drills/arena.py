"""Where drills take place: a whole fleet, a load on it, one fault, and the verdict when the fleet is whole again."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from uuid import uuid4

import httpx

from tests.support.drills import verdict
from tests.support.drills.background import running
from tests.support.drills.drill import Drill
from tests.support.drills.load import Plan
from tests.support.drills.samples import Observer, Sample
from tests.support.drills.verdict import Record, Verdict
from tests.support.live.clients import visitor
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import ROOT, Host
from tools.fleet.redundancy import is_leader, missing

RESULTS = ROOT / ".cache" / "drills"
LEADERS = ("postgres", "store", "cache", "vip")
RATES = {"read": 20.0, "write": 10.0, "session": 2.0}
# Seconds of load before the fault, and after the fleet is whole again.
BEFORE, AFTER = 2.0, 1.0
# A load ends by itself after so many seconds, whatever becomes of the drill.
LONGEST_LOAD = 900.0


class Arena:
    """A running fleet with somebody watching it, and somebody logged in to its site."""

    fleet: LiveFleet
    observer: Observer
    # Who led when the drill began, by kind.
    led_before: Mapping[str, set[str]]

    def __init__(self, fleet: LiveFleet, observer: Observer, api_key: str) -> None:
        self.fleet, self.observer, self.api_key = fleet, observer, api_key
        with visitor(fleet) as client:
            self.articles = [
                article["id"] for article in client.get("/api/v1/articles", params={"limit": 50}).json()["articles"]
            ]
            self.cookie = log_in(client, fleet.secrets["app_admin_password"])

    def run(self, drill: Drill, round_: int) -> Verdict:
        """Hold a drill; return what it has shown and keep it as JSON."""
        self._assert_whole()
        with drill.setting(self):
            self._assert_whole()
            return self._hold(drill, round_)

    def _hold(self, drill: Drill, round_: int) -> Verdict:
        self.led_before = {what: self.leaders(what) for what in LEADERS}
        run = f"drill-{uuid4().hex[:8]}"
        with self._load(run) as records:
            time.sleep(BEFORE)
            began = time.time()
            with drill.fault(self) as extra:
                drill.hold(self)
            healed = began if drill.heals_itself else time.time()
            whole = self.wait_until_whole(drill.patience)
            assert whole is not None, f"not whole {drill.patience:.0f} s after {drill.name}: {self.missing()}"
            time.sleep(AFTER)
            end = time.time()
        samples = self.observer.between(began - BEFORE, end)
        result = self._judge(drill, round_, run, records, samples, began, healed, whole, end, dict(extra or {}))
        _keep(result, records, samples, began, healed, whole)
        return result

    def group(self, name: str) -> list[Host]:
        """The hosts of a tier."""
        return self.fleet.group(name)

    def leaders(self, what: str) -> set[str]:
        """The names of the hosts that take writes, or have the virtual address, at this moment."""
        return {name for name, seen in self.observer.now().items() if what in seen and is_leader(seen[what])}

    def leader(self, what: str) -> Host:
        """The host that leads, where one does."""
        (name,) = self.leaders(what)
        return self.fleet.hosts[name]

    @property
    def standby(self) -> Host:
        """A Postgres host that is not the primary."""
        return next(host for host in self.group("postgres") if host.name not in self.leaders("postgres"))

    def missing(self) -> list[str]:
        """What the fleet lacks at this moment."""
        return missing(self.fleet.hosts.values(), self.observer.now())

    def wait_until_whole(self, within: float) -> float | None:
        """Return the time at which nothing is missing any more, None when that takes too long."""
        self.missed_last: list[str] = []

        def whole() -> float | None:
            if not (missed := self.missing()):
                return time.time()
            self.missed_last = missed
            return None

        return eventually(whole, within=within)

    def _assert_whole(self) -> None:
        assert self.wait_until_whole(120) is not None, f"not whole before the drill: {self.missing()}"

    def unprocessed(self) -> list[str]:
        """Articles of all drills whose task has not been done."""
        return self._titles("and (processed_at is null or summary = '')")

    @contextmanager
    def _load(self, run: str) -> Iterator[list[Record]]:
        """Send requests while entered; the list has their records afterwards."""
        url = f"https://{self.fleet.vip}"
        plan = Plan(url, run, self.api_key, self.cookie, self.articles, RATES, LONGEST_LOAD)
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
        whole: float,
        end: float,
        extra: dict[str, float],
    ) -> Verdict:
        first_tries = [record for record in records if record["kind"] != "settle" and record["due"] >= began]
        failed = [record for record in first_tries if not verdict.succeeded(record)]
        lost, doubled, unsettled = verdict.fate(records, self._found(run))
        slowest: dict[str, float] = {}
        for record in first_tries:
            slowest[record["kind"]] = round(max(slowest.get(record["kind"], 0.0), record["end"] - record["due"]), 2)
        return Verdict(
            drill=drill.name,
            round=round_,
            write_gap=round(verdict.longest_gap(records, {"write"}, began, end), 2),
            read_gap=round(verdict.longest_gap(records, {"read"}, began, end), 2),
            sent=verdict.count(first_tries),
            failed=verdict.count(failed),
            reasons=verdict.reasons(failed),
            unanswered=verdict.count(record for record in failed if not record["status"]),
            slowest=slowest,
            lost=lost,
            doubled=doubled,
            open=unsettled,
            session_lost=not self._session_lives(),
            most_primaries=verdict.most_primaries(samples),
            whole_after=round(whole - healed, 1),
            load_average=round(os.getloadavg()[0], 1),
            missed_last=self.missed_last,
            extra=extra,
        )

    def _found(self, run: str) -> dict[int, int]:
        """How often the database has each number of a run."""
        found: dict[int, int] = {}
        for title in self._titles(f"and title like '{run}-%'"):
            number = int(title.rpartition("-")[2])
            found[number] = found.get(number, 0) + 1
        return found

    def _titles(self, condition: str) -> list[str]:
        return self.fleet.sql(
            self.fleet.primary, f"select title from article where title like 'drill-%' {condition}"
        ).splitlines()

    def _session_lives(self) -> bool:
        with visitor(self.fleet, Cookie=self.cookie) as client:
            return client.get("/account").status_code == 200


def log_in(client: httpx.Client, password: str) -> str:
    """Log in by the site's form; return the session's cookie."""
    form = client.get("/auth/login").text
    match = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
    assert match
    fields = {"csrf_token": match[1], "email": "admin@news.test", "password": password}
    answer = client.post("/auth/login", data=fields, headers={"Referer": f"{client.base_url}/auth/login"})
    assert answer.status_code in {302, 303}, answer.text
    return f"session={client.cookies['session']}"


def _keep(
    result: Verdict, records: list[Record], samples: list[Sample], began: float, healed: float, whole: float
) -> None:
    """Write verdict and timeline, times counted from the fault."""
    sent = [record for record in records if record["kind"] != "settle"]
    requests = [[record["kind"], round(record["end"] - began, 3), verdict.succeeded(record)] for record in sent]
    timeline = {
        "healed": round(healed - began, 2),
        "whole": round(whole - began, 2),
        "requests": requests,
        "roles": {what: verdict.stretches(samples, what, began) for what in LEADERS},
    }
    path = RESULTS / f"{result.drill}-{result.round}.json"
    path.write_text(json.dumps({"verdict": asdict(result), "timeline": timeline}))
