"""Which scenarios a change needs: one table from paths to scenarios."""

import subprocess
from collections.abc import Iterable
from fnmatch import fnmatch

from tools.checks.plan import ALL_SCENARIOS, ORDINARY, ROOT, SHARED

NONE: tuple[str, ...] = ()
FLEET = ("default", "single")
DATA = ("default", "failover", "operations", "single")
EDGE = ("default", "failover", "deploy", "single", "contract")
RELEASE = ("default", "deploy", "single", "contract", *ORDINARY)
SANDBOX = (*SHARED, "single", "contract", *ORDINARY)
# Those of backups: `single` has the core ones.
BACKUPS = ("single", "backups")
AWS = ("aws",)

ROWS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (NONE, ("*.md", "docs/*", ".github/*", "tests/unit/*", "tests/integration/*", "tools/bench/*", "tools/docs/*")),
    (ORDINARY, ("molecule/shared/initialize.sh", "molecule/shared/tests/*", "tests/support/live/ordinary.py")),
    (ALL_SCENARIOS, ("molecule/shared/*",)),
    (("default", *BACKUPS), ("molecule/backups/tests/test_backups.py",)),
    (BACKUPS, ("molecule/backups/tests/conftest.py", "molecule/backups/tests/test_mistakes.py")),
    *(((name,), (f"molecule/{name}/*",)) for name in ALL_SCENARIOS),
    (FLEET, ("terraform/sandbox/*", "terraform/modules/sandbox_host/*")),
    (AWS, ("terraform/*", "inventories/aws/*")),
    (("contract",), ("inventories/contract/*", "inventories/applications/guestbook.yml")),
    (("single",), ("inventories/single/*",)),
    (("backups",), ("inventories/backups/*",)),
    (ALL_SCENARIOS, ("inventories/*",)),
    (AWS, ("tests/support/cloud/*",)),
    (("deploy",), ("tests/support/deploys/*",)),
    (BACKUPS, ("tests/support/drills/restores.py", "tests/support/drills/story.py")),
    (("failover", "operations"), ("tests/support/drills/*",)),
    (("operations",), ("tests/support/pebble.py",)),
    (("default",), ("tests/support/browser/*",)),
    (NONE, ("tests/applications/baseline/*",)),
    *(((name,), (f"tests/applications/{name}/*",)) for name in ORDINARY),
    (("contract",), ("tests/applications/*",)),
    (SANDBOX, ("tests/*",)),
    (BACKUPS, ("roles/restore/*", "playbooks/backup*.yml", "playbooks/restore.yml")),
    ((*DATA, *BACKUPS), ("roles/postgres/*", "roles/pgbackrest/*")),
    (DATA, ("roles/etcd/*", "roles/redis/*", "roles/haproxy/*")),
    ((*EDGE, "operations"), ("roles/nginx/*acme*", "roles/nginx/*certificate*")),
    (EDGE, ("roles/nginx/*", "roles/keepalived/*")),
    (RELEASE, ("roles/app/*", "roles/celery/*", "roles/deploy/*", "roles/processes/*")),
    (("operations",), ("roles/maintain/*", "playbooks/maintain.yml")),
    (FLEET, ("roles/alertmanager/*", "roles/grafana/*", "roles/prometheus/*")),
    (ALL_SCENARIOS, ("roles/*",)),
    (("operations", "failover"), ("playbooks/reinit.yml", "playbooks/remove.yml", "playbooks/replace.yml")),
    (SANDBOX, ("playbooks/*",)),
    (AWS, ("tools/terraform/*",)),
    (RELEASE, ("tools/release/*",)),
    (ORDINARY, ("tools/project/*",)),
    (("default", "operations", "single"), ("tools/fleet/*",)),
    (("default", "failover", "deploy", "single"), ("app/*",)),
    (FLEET, ("bin/*",)),
    (NONE, ("tools/checks/*", "LICENSE", "*.json", ".*")),
)
# The first pattern that matches a path decides. `*` also matches slashes. Lint and unit tests run for every change.
TABLE = [(pattern, names) for names, patterns in ROWS for pattern in patterns]


def scenarios(paths: Iterable[str]) -> list[str]:
    """Return the scenarios that changed paths need. A path that no pattern knows needs all of them."""
    needed: set[str] = set()
    for path in paths:
        needed.update(next((names for pattern, names in TABLE if fnmatch(path, pattern)), ALL_SCENARIOS))
    return [name for name in ALL_SCENARIOS if name in needed]


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
