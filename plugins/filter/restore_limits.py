"""The limits that a restored server needs in order to replay the log up to its target."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

# What pg_controldata calls them. A server that replays the log with lower ones than the primary had stops there.
SETTINGS = {
    "max_connections": "max_connections",
    "max_worker_processes": "max_worker_processes",
    "max_wal_senders": "max_wal_senders",
    "max_prepared_xacts": "max_prepared_transactions",
    "max_locks_per_xact": "max_locks_per_transaction",
}
LINE = re.compile(rf"^({'|'.join(SETTINGS)}) setting: +(\d+)$", re.MULTILINE)


def limits(outputs: Sequence[str], known: Mapping[str, int]) -> dict[str, int]:
    """Return the highest value of each limit.

    Args:
        outputs: What pg_controldata prints for the restored data, and for those of the running database. Empty for a
            folder that has none.
        known: Values of an earlier run.
    """
    found = dict(known)
    for name, value in LINE.findall("\n".join(outputs)):
        found[SETTINGS[name]] = max(int(value), found.get(SETTINGS[name], 0))
    return found


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"restore_limits": limits}
