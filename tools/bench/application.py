"""Measures the application's figures in docs/benchmarks.md on a running fleet.

Usage: `FLEET=dev INVENTORY=sandbox python -m tools.bench.application`. It installs tests/applications/baseline on the
same hosts, with the same data and servers, and with its own nginx on the first load balancer. From there it sends
requests to both in turns. Finally it removes everything that it installed.
"""

import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import httpx

from tests.support.live.clients import publish, visitor
from tests.support.live.fleet import LiveFleet
from tools.bench.fleet import build, on, site, store
from tools.fleet.context import ROOT, Fleet, FleetError, Host

BASELINE = ROOT / "tests" / "applications" / "baseline"
ROUNDS, SECONDS, CONNECTIONS = 3, 8, 32
INSTALL = """
cd /opt/baseline && ./uv venv -q --offline --python /usr/bin/python3 venv &&
./uv pip install -q --offline --no-index --find-links wheels --require-hashes --compile-bytecode --python venv \\
    -r requirements.txt
"""
# The tutorial's settings.
GUNICORN = (
    "--no-control-socket --bind 0.0.0.0:8090 --workers 4 --worker-class gevent --keep-alive 5 --timeout 120 "
    "--max-requests 1000 --max-requests-jitter 50"
)
WRK = re.compile(r"99%\s+([\d.]+)(us|ms|s)\b.*?(\d+) requests in.*?Requests/sec:\s+([\d.]+)", re.DOTALL)
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
# Requests a different list each time, so that no cache has it.
UNIQUE = """
request = function()
    local until_ = string.format("2090-01-01T00:00:00.%06dZ", math.random(0, 999999))
    return wrk.format("GET", "/api/v1/articles?limit=1&until=" .. until_)
end
"""


def wrk(fleet: LiveFleet, host: Host, url: str, *, script: str = "", seconds: int = SECONDS) -> tuple[float, float]:
    """Run wrk on a host. Return requests per second and the 99th percentile in milliseconds."""
    lua = f"printf %s {shlex.quote(script)} >/run/wrk.lua; " if script else ""
    option = "-s /run/wrk.lua " if script else ""
    command = f"{lua}wrk -t2 -c{CONNECTIONS} -d{seconds}s --timeout 10s --latency {option}{shlex.quote(url)}"
    output = fleet.run(host, command).stdout
    if "Non-2xx" in output:
        raise FleetError(
            f"{url} did not always answer with success; check the application's log. wrk printed:\n{output}"
        )
    if not (found := WRK.search(output)):
        raise FleetError(f"wrk printed no figures for {url}:\n{output}")
    return float(found[4]), float(found[1]) * UNITS[found[2]]


def in_turns(
    fleet: LiveFleet, host: Host, urls: dict[str, str], scripts: dict[str, str] | None = None
) -> dict[str, tuple[float, float]]:
    """Measure the URLs in turns after a warm-up. Return the medians of rate and 99th percentile by name."""
    scripts = scripts or {}
    for name, url in urls.items():
        wrk(fleet, host, url, script=scripts.get(name, ""), seconds=2)
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in urls}
    for _ in range(ROUNDS):
        for name, url in urls.items():
            results[name].append(wrk(fleet, host, url, script=scripts.get(name, "")))
    return {
        name: (median(rate for rate, _ in rounds), median(p99 for _, p99 in rounds)) for name, rounds in results.items()
    }


@contextmanager
def baseline_on(fleet: LiveFleet, host: Host, bundles: list[Path]) -> Iterator[None]:
    """Run the baseline's gunicorn on an application host, with the application's environment."""
    fleet.run(host, "rm -rf /opt/baseline && mkdir -p /opt/baseline")
    for bundle in bundles:
        on(fleet.fleet, host, "tar -xz -C /opt/baseline", bundle.read_bytes())
    try:
        fleet.run(host, INSTALL)
        unit = "systemd-run --quiet --unit=baseline --property=User=news-app --property=EnvironmentFile=/etc/news/env"
        fleet.run(host, f"{unit} /opt/baseline/venv/bin/gunicorn {GUNICORN} 'baseline:create_app()'")
        fleet.run(host, "nft insert rule inet fleet input tcp dport 8090 accept")
        fleet.run(
            host,
            "curl -sf --retry 20 --retry-delay 1 --retry-all-errors -o /dev/null http://127.0.0.1:8090/api/v1/articles",
        )
        yield
    finally:
        fleet.run(
            host,
            "systemctl stop baseline; systemctl reset-failed baseline; rm -rf /opt/baseline; systemctl reload nftables",
            check=False,
        )


@contextmanager
def baseline_nginx(fleet: LiveFleet, balancer: Host, hosts: list[Host]) -> Iterator[None]:
    """Run nginx with the tutorial's settings on the load balancer, and install wrk."""
    servers = "\n".join(f"        server {host.address}:8090;" for host in hosts)
    configuration = (BASELINE / "nginx.conf").read_text().replace("@SERVERS@", servers)
    on(fleet.fleet, balancer, "sh -c 'cat >/run/baseline-nginx.conf'", configuration.encode())
    fleet.run(
        balancer,
        "command -v wrk >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends wrk",
    )
    fleet.run(balancer, "nginx -c /run/baseline-nginx.conf")
    try:
        yield
    finally:
        fleet.run(
            balancer,
            "nginx -c /run/baseline-nginx.conf -s quit; rm -f /run/baseline-* /run/wrk.lua; apt-get purge -q -y wrk",
            check=False,
        )


@contextmanager
def unlimited(fleet: LiveFleet, balancer: Host) -> Iterator[None]:
    """Exempt requests from the load balancer itself from rate limits."""
    options = ["--tags", "nginx", "--limit", balancer.name]
    site(fleet.fleet, *options, "-e", '{"nginx_rate_limit_exempt": ["127.0.0.0/8"]}')
    try:
        yield
    finally:
        site(fleet.fleet, *options)


@contextmanager
def writing(fleet: LiveFleet) -> Iterator[None]:
    """Publish five articles per second."""
    email = f"benchmark-{time.time_ns()}@news.test"
    fleet.app_command(f"flask users create {email} --password-env P", {"P": f"p{time.time_ns()}"})
    key = fleet.app_command(f"flask keys create {email} --name benchmark --scope articles:write").split()[-1]
    done = Event()

    def write(author: httpx.Client) -> None:
        while not done.wait(0.2):
            publish(author)

    with visitor(fleet, Authorization=f"Bearer {key}") as author, ThreadPoolExecutor(1) as pool:
        writes = pool.submit(write, author)
        try:
            yield
        finally:
            done.set()
        writes.result()


def metric(fleet: LiveFleet, name: str, labels: str) -> float:
    """Sum a metric's series with these labels over the application hosts."""
    total = 0.0
    for host in fleet.group("app"):
        text = fleet.run(host, f"curl -s http://{host.address}:8000/metrics").stdout
        total += sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name) and labels in line
        )
    return total


def during(fleet: LiveFleet, cache: str, rule: str, action: Callable[[], Any]) -> tuple[float, float]:
    """Return a cache's database reads per second, and a route's queries per request, while `action` runs."""
    series = [
        ("app_cache_requests_total", f'{{cache="{cache}",outcome="miss"}}'),
        ("app_request_queries_sum", f'rule="{rule}"'),
        ("app_request_queries_count", f'rule="{rule}"'),
    ]
    before, started = [metric(fleet, *one) for one in series], time.monotonic()
    action()
    seconds = time.monotonic() - started
    misses, queries, requests = (metric(fleet, *one) - earlier for one, earlier in zip(series, before, strict=True))
    return misses / seconds, queries / max(requests, 1)


def main() -> int:
    """Measure, print and store the figures."""
    fleet = LiveFleet(Fleet.from_environment())
    balancer, hosts = fleet.group("loadbalancers")[0], fleet.group("app")
    newest = json.loads(fleet.run(hosts[0], f"curl -s http://{hosts[0].address}:8000/api/v1/articles?limit=1").stdout)
    article, ours, direct = newest["articles"][0]["id"], "https://127.0.0.1", f"http://{hosts[0].address}:8000"
    theirs = "http://127.0.0.1:8091"
    figures: dict[str, float] = {}
    with ExitStack() as stack:
        bundles = build(f"--source={BASELINE}", "--requirements=requirements.txt")
        for host in hosts:
            stack.enter_context(baseline_on(fleet, host, bundles))
        stack.enter_context(baseline_nginx(fleet, balancer, hosts))
        stack.enter_context(unlimited(fleet, balancer))
        for page, path in {"list": "/api/v1/articles", "article": f"/api/v1/articles/{article}"}.items():
            seen = in_turns(fleet, balancer, {"ours": ours + path, "baseline": theirs + path})
            for name, (rate, p99) in seen.items():
                figures[f"{page}, {name}: requests/s"], figures[f"{page}, {name}: p99 ms"] = rate, p99
            figures[f"{page}: rate, ours / baseline"] = seen["ours"][0] / seen["baseline"][0]
            figures[f"{page}: p99, ours / baseline"] = seen["ours"][1] / seen["baseline"][1]
        seen = in_turns(
            fleet, balancer, {"hit": f"{ours}/api/v1/articles?limit=3", "static": f"{ours}/static/site.css"}
        )
        figures["micro-cache hit / static file"] = seen["hit"][0] / seen["static"][0]
        seen = in_turns(fleet, balancer, {"orm": direct, "none": f"{direct}/livez"}, {"orm": UNIQUE})
        figures["view without I/O: requests/s"] = seen["none"][0]
        figures["ORM view, never cached: requests/s"] = seen["orm"][0]
        figures["ORM view / view without I/O"] = seen["orm"][0] / seen["none"][0]
        with writing(fleet):
            for page, cache, rule, path in (
                # Not the list with the writes, because its rule also counts the queries of POST requests.
                ("list", "lists", "/api/v1/articles/popular", "/api/v1/articles/popular?limit=7"),
                ("article", "article", "/api/v1/articles/<id:article_id>", f"/api/v1/articles/{article}"),
            ):
                # Monitoring's probes also read from the database. Subtract their share.
                others, _ = during(fleet, cache, rule, lambda: time.sleep(SECONDS))
                reads, request = during(fleet, cache, rule, partial(wrk, fleet, balancer, direct + path))
                figures[f"{page}: database reads of a hot key a second, with 5 writes a second"] = reads - others
                figures[f"{page}: queries per request"] = request
    store("benchmark_app", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
