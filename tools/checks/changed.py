"""Which scenarios a change needs: one table from paths to scenarios."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from fnmatch import fnmatch

from tools.checks.plan import ALL_SCENARIOS, ROOT

NONE: tuple[str, ...] = ()
FLEET = ("default", "single")
DATA = ("default", "failover", "operations", "single")
EDGE = ("default", "failover", "deploy", "single", "contract")
RELEASE = ("default", "deploy", "single", "contract")
AWS = ("aws",)

# The first pattern that matches a path decides. `*` also matches slashes. Lint and unit tests run for every change.
TABLE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("*.md", NONE),
    ("docs/*", NONE),
    (".github/*", NONE),
    ("tests/unit/*", NONE),
    ("tests/integration/*", NONE),
    ("tools/bench/*", NONE),
    ("tools/docs/*", NONE),
    ("molecule/shared/*", ALL_SCENARIOS),
    *((f"molecule/{name}/*", (name,)) for name in ALL_SCENARIOS),
    ("terraform/sandbox/*", FLEET),
    ("terraform/modules/sandbox_host/*", FLEET),
    ("terraform/*", AWS),
    ("inventories/aws/*", AWS),
    ("inventories/contract/*", ("contract",)),
    ("inventories/applications/guestbook.yml", ("contract",)),
    ("inventories/single/*", ("single",)),
    ("inventories/*", ALL_SCENARIOS),
    ("tests/support/cloud/*", AWS),
    ("tests/support/deploys/*", ("deploy",)),
    ("tests/support/drills/*", ("failover", "operations")),
    ("tests/support/browser/*", ("default",)),
    ("tests/applications/baseline/*", NONE),
    ("tests/applications/*", ("contract",)),
    ("tests/*", ("default", "failover", "operations", "deploy", "single", "contract")),
    ("roles/postgres/*", DATA),
    ("roles/etcd/*", DATA),
    ("roles/redis/*", DATA),
    ("roles/nginx/*", EDGE),
    ("roles/keepalived/*", EDGE),
    ("roles/app/*", RELEASE),
    ("roles/celery/*", RELEASE),
    ("roles/deploy/*", RELEASE),
    ("roles/maintain/*", ("operations",)),
    ("roles/alertmanager/*", FLEET),
    ("roles/grafana/*", FLEET),
    ("roles/prometheus/*", FLEET),
    ("roles/*", ALL_SCENARIOS),
    ("playbooks/maintain.yml", ("operations",)),
    ("playbooks/reinit.yml", ("operations", "failover")),
    ("playbooks/replace.yml", ("operations", "failover")),
    ("playbooks/*", ("default", "failover", "operations", "deploy", "single", "contract")),
    ("tools/terraform/*", AWS),
    ("tools/release/*", RELEASE),
    ("tools/fleet/*", ("default", "operations", "single")),
    ("tools/checks/*", NONE),
    ("app/*", ("default", "failover", "deploy", "single")),
    ("bin/vault-password", FLEET),
    ("bin/*", FLEET),
    ("LICENSE", NONE),
    ("*.json", NONE),
    (".*", NONE),
)


def scenarios(paths: Iterable[str]) -> list[str]:
    """Return the scenarios that changed paths need. A path that no pattern knows needs all of them."""
    needed = {name for path in paths for name in _needed(path)}
    return [name for name in ALL_SCENARIOS if name in needed]


def _needed(path: str) -> tuple[str, ...]:
    return next((names for pattern, names in TABLE if fnmatch(path, pattern)), ALL_SCENARIOS)


def changed_since(base: str) -> list[str]:
    """Return the paths that differ from a revision's merge base, and the untracked ones.

    Raises:
        ValueError: git does not know the revision.
    """
    merge_base = _git("merge-base", base, "HEAD").strip()
    tracked = _git("diff", "--name-only", merge_base).splitlines()
    return sorted({*tracked, *_git("ls-files", "--others", "--exclude-standard").splitlines()})


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ValueError(f"git {' '.join(arguments)} failed: {result.stderr.strip()}")
    return result.stdout
