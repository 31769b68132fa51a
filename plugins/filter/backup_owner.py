"""Two fleets must not share a repository of backups: each would archive into it, and neither could be restored."""

from collections.abc import Mapping, Sequence
from typing import Any

from plugins.filter.backups import WRONG_PASS
from plugins.filter.restore import backups, stanzas
from plugins.moments import shown

ELSEWHERE = "Two fleets must not share a repository: set another path or bucket in pgbackrest_repositories"


def owner_refusal(answers: Sequence[Mapping[str, Any]], stanza: str, fleet: Mapping[str, Any]) -> str:
    """Why this fleet must not use its repositories, in a few sentences. Empty if it may, or if they cannot be read.

    Args:
        answers: For each repository the result of `pgbackrest info --output=json`.
        stanza: Name of the stanza.
        fleet: `name`, and `former`, the name of another fleet whose backups it may have; `identifiers` of its database,
            as far as they are known; `empty` if its database hosts have no data; `restores` if this run restores them.
    """
    refusals = (_refusal(f"Repository {number}", answer, stanza, fleet) for number, answer in enumerate(answers, 1))
    return next(filter(None, refusals), "")


def _refusal(where: str, answer: Mapping[str, Any], stanza: str, fleet: Mapping[str, Any]) -> str:
    if WRONG_PASS.search(f"{answer.get('stderr') or ''}\n{answer.get('stdout') or ''}"):
        return (
            f"{where} cannot be decrypted with vault_pgbackrest_cipher_pass, so another fleet uses it, or the pass has "
            f"changed. {ELSEWHERE}, or put the old pass back into the vault."
        )
    databases: list[dict[str, Any]] = (stanzas(answer, stanza) or {}).get("db") or []
    if not databases:
        return ""
    identifier = str(max(databases, key=lambda database: int(database["id"]))["system-id"])
    if fleet["identifiers"] and identifier not in fleet["identifiers"]:
        return (
            f"{where} has the backups of another database: its system identifier is {identifier}, and that of this "
            f"fleet is {', '.join(fleet['identifiers'])}. {ELSEWHERE}. If they are of this fleet, before its database "
            "was created again, see docs/backups.md#all-database-hosts-are-lost."
        )
    if fleet["empty"] and not fleet["identifiers"] and not fleet["restores"]:
        return (
            f"{where} has the backups of a database (system identifier {identifier}), and this fleet has none yet. "
            f"{ELSEWHERE}. If this fleet has lost it, bring it back with -e restore_from=latest."
        )
    return _other_name(where, backups(answer, stanza), fleet)


def _other_name(where: str, found: Sequence[Mapping[str, Any]], fleet: Mapping[str, Any]) -> str:
    """Why backups of another fleet are no copy from before this fleet's first one."""
    names = [(str((backup.get("annotation") or {}).get("fleet", "")), backup["timestamp"]["stop"]) for backup in found]
    own = [stop for name, stop in names if name == fleet["name"]]
    others = [(name, stop) for name, stop in names if name not in ("", fleet["name"], fleet["former"])]
    if not fleet["name"] or not others or (own and others[-1][1] < own[0]):
        return ""
    name, stop = others[-1]
    return (
        f"{where} has backups of the fleet {name}, the newest of {shown(stop)}, and this fleet is {fleet['name']}. "
        f"{ELSEWHERE}. If this one was renamed, or the repository is a copy, add -e pgbackrest_former_fleet={name}."
    )


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"backup_owner_refusal": owner_refusal}
