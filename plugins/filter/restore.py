"""Checks a restore before anything is stopped: its options, the backups in the repository, and disks."""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from math import floor, inf
from typing import Any

from plugins.filter.backups import OTHER_PASS, UNREADABLE, WRONG_PASS, backup_reason
from plugins.filter.cause import first_cause
from plugins.moments import EXAMPLE, parsed, shown
from plugins.restores import UNDONE, sentence
from plugins.timelines import gap_after, leads_there, timeline_refusal

Options = Mapping[str, Any]
Backup = Mapping[str, Any]
GUIDE = "docs/backups.md explains it"
OTHER_TIMELINE = "Add -e restore_timeline with the number of the timeline that had those data (docs/backups.md)"
# Codes of `pgbackrest info`: neither the stanza's folder nor its data exist, or it has no backup.
NO_STANZA, NO_BACKUP = (1, 3), 2
# In place of a point in time: everything that was archived.
LATEST = "latest"


def target(text: str) -> str:
    """Return a point in time as Postgres and pgBackRest read it, in UTC; nothing for the end of the archive."""
    return "" if text == LATEST else f"{parsed(text):%Y-%m-%d %H:%M:%S.%f}+00"


def request_refusal(options: Options, now: float) -> str:
    """Why a restore cannot begin, from its options, in a sentence. Empty if it can.

    Args:
        options: `to`, `in_place`, `remove`, `confirm` and `host`, and of the fleet `fleet`, `hosts` and `repositories`;
            `from` if the database is brought back at a first run, which may ask for the latest data.
        now: The time of the control node.
    """
    if not options["repositories"] and not options["remove"]:
        return (
            "pgbackrest_repositories is empty, so this fleet has no backups, and nothing can be restored. Add a "
            f"repository for the future ({GUIDE})."
        )
    if options["host"] and options["host"] not in options["hosts"]:
        return f"restore_host = {options['host']} must be one of {', '.join(options['hosts'])}."
    if options["remove"]:
        return "restore_remove and restore_in_place exclude each other: leave one out." if options["in_place"] else ""
    if options.get("from") and options["to"] == LATEST:
        return ""
    if not options["to"]:
        return f"restore_to is missing: the point in time to go back to. Write -e restore_to={EXAMPLE}."
    try:
        moment = parsed(str(options["to"]))
    except ValueError as error:
        return str(error)
    if moment.timestamp() >= now:
        return f"restore_to = {shown(moment)} is in the future: it is {shown(now)} now. Choose a time that has passed."
    if options["in_place"] and options["confirm"] != options["fleet"]:
        return (
            f"restore_in_place loses everything that was written after {shown(moment)} on the fleet "
            f"{options['fleet']}. If you mean that, repeat its name: --confirm={options['fleet']}, or "
            f"-e restore_confirm={options['fleet']} with ansible-playbook. Without --in-place, the old data are shown "
            "beside the running database, and nothing is lost."
        )
    return ""


def repository_refusal(answer: Mapping[str, Any], stanza: str) -> str:
    """Why the repository cannot be used, in a sentence, from the result of `pgbackrest info --output=json`.

    Args:
        answer: The result of the command, with rc, stdout and stderr.
        stanza: Name of the stanza.
    """
    output = f"{answer.get('stderr') or ''}\n{answer.get('stdout') or ''}"
    if WRONG_PASS.search(output):
        return (
            f"The repository cannot be decrypted: {OTHER_PASS}. Put the old pass back into the inventory's vault and "
            "run site.yml."
        )
    found = stanzas(answer, stanza)
    status: Mapping[str, Any] = (found or {}).get("status", {})
    reason = ""
    if answer.get("rc") != 0 or found is None:
        reason = first_cause(output.strip() or answer.get("msg") or "no output")
    elif status.get("code") == UNREADABLE and not found.get("backup"):
        reason = backup_reason(str(found["repo"][0]["status"]["message"]))
    if found is None or reason:
        return (
            f"The repository cannot be read: {reason}. Start its host, or check the network and the bucket's key, then "
            "run this again."
        )
    if status.get("code") in NO_STANZA:
        return (
            f"The repository has no stanza {stanza}: it is new, or its disk is not mounted. Mount it, or run site.yml, "
            "which creates it."
        )
    if not found.get("backup"):
        reason = "" if status.get("code") in (0, NO_BACKUP) else f" ({status.get('message')})"
        return f"The repository has no backup{reason}, so nothing can be restored. Make one: playbooks/backup.yml."
    return ""


def stanzas(answer: Mapping[str, Any], stanza: str) -> dict[str, Any] | None:
    """Return the stanza of the answer, an empty one if the repository has none, or None if it cannot be read."""
    try:
        found = json.loads(answer.get("stdout") or "")
        named = [entry for entry in found if entry["name"] == stanza]
    except (ValueError, TypeError, KeyError):
        return None
    return dict(named[0]) if named else {"status": {"code": NO_STANZA[0]}}


def backups(answer: Mapping[str, Any], stanza: str) -> list[Backup]:
    """Return the backups, the oldest first."""
    found = (stanzas(answer, stanza) or {}).get("backup") or []
    return sorted(found, key=lambda backup: int(backup["timestamp"]["stop"]))


def base(answer: Mapping[str, Any], stanza: str, moment: float) -> tuple[Backup | None, bool]:
    """Return the newest backup from which a point in time can be reached, and whether pgBackRest must be told so.

    pgBackRest compares whole seconds. By itself, it takes the newest backup before the time, also one that was made in
    a time that a restore has undone, and then fails.
    """
    second = moment if moment == inf else floor(moment)
    before = [backup for backup in backups(answer, stanza) if backup["timestamp"]["stop"] < second]
    good = [backup for backup in before if leads_there(backup, answer.get("histories") or {})]
    return (good[-1], good[-1] is not before[-1]) if good else (None, bool(before))


def plan(answer: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Return what a restore will do on a host: `refusal`, `target`, `label`, `size`, `keep`, and `set` for pgBackRest.

    Args:
        answer: The result of `pgbackrest info --output=json` on that host.
        options: `to`, `stanza`, `in_place`, `host` and `folder`; `free`, the bytes that its file system has left;
            `wal`, the bytes that the log may need; `left`, a side restore that is there; `port` with `port_used`;
            `timeline`, a timeline other than the latest one.
    """
    refusal = repository_refusal(answer, options["stanza"]) or timeline_refusal(
        options.get("timeline") or "", answer.get("histories") or {}
    )
    result: dict[str, Any] = {"refusal": refusal, "target": target(options["to"])}
    if result["refusal"]:
        return result
    latest = options["to"] == LATEST
    found, chosen = base(answer, options["stanza"], inf if latest else parsed(options["to"]).timestamp())
    if found is None:
        return result | {"refusal": base_refusal(answer, options, chosen)}
    gap = gap_after(found, answer.get("archived") or {}) if answer.get("archived") else None
    if gap is not None and (latest or parsed(options["to"]).timestamp() > gap):
        return result | {"refusal": gap_refusal(answer, options, gap)}
    size, free, wal = int(found["info"]["size"]), int(options["free"]), int(options["wal"])
    # In place, files of the same size are replaced, so only the log needs room.
    keep = bool(options["in_place"]) and free >= size + size // 10 + wal
    needed = wal if options["in_place"] else size + size // 10 + wal
    result |= {"label": found["label"], "size": size, "keep": keep, "set": []}
    if chosen:
        result["set"] = [f"--repo={found['database']['repo-key']}", f"--set={found['label']}"]
    return result | {"refusal": host_refusal(options, needed, free, wal)}


def gap_refusal(answer: Mapping[str, Any], options: Options, gap: float) -> str:
    """Why the log does not lead to a point in time, in a sentence."""
    later = [b["timestamp"]["stop"] for b in backups(answer, options["stanza"]) if b["timestamp"]["stop"] > gap]
    after = (
        f", or {shown(later[0] + 1)} or a later time" if later else "; a backup that is made now reaches later times"
    )
    return (
        f"restore_to = {options['to']} cannot be reached, because the archive lacks WAL that was written after "
        f"{shown(gap)}: archiving was switched off then, or a segment was lost. Choose {shown(gap)} or an earlier "
        f"time{after}."
    )


def base_refusal(answer: Mapping[str, Any], options: Options, older: bool) -> str:
    """Why no backup leads to a point in time, in a sentence. `older` if there are backups before it."""
    if older:
        return (
            f"restore_to = {options['to']} is not on the timeline of the restore: each backup before it was made in a "
            f"time that a restore has undone. {OTHER_TIMELINE}, or choose a later time."
        )
    oldest = backups(answer, options["stanza"])[0]["timestamp"]["stop"]
    return (
        f"restore_to = {shown(parsed(options['to']))} is before the end of the oldest backup. Choose "
        f"{shown(oldest + 1)} or a later time."
    )


def host_refusal(options: Options, needed: int, free: int, wal: int) -> str:
    """Why a host cannot take the restored data, in a sentence; empty if it can."""
    host, folder = options["host"], options["folder"]
    if not options["in_place"] and options["left"]:
        return (
            f"{host} still has a side restore in {folder}. Remove it first: bin/fleet restore --remove --host={host}, "
            f"or -e restore_remove=true -e restore_host={host} with ansible-playbook."
        )
    if not options["in_place"] and options["port_used"]:
        return f"restore_port = {options['port']} is in use on {host}. Choose another one."
    if free < needed:
        return (
            f"{folder} on {host} needs {megabytes(needed)} MB, of which restore_wal_mb = {megabytes(wal)} is for WAL, "
            f"and {megabytes(free)} MB are free. Free space there, or choose another host with --host, or "
            "-e restore_host with ansible-playbook."
        )
    return ""


def megabytes(size: int) -> int:
    """Return a number of bytes in megabytes, rounded up."""
    return -(-size // 1024**2)


def choose_host(wanted: str, answering: Sequence[str], clusters: Sequence[Any], in_place: bool) -> str:
    """Return the host on which to restore: the wanted one, else a standby, else the first one that answers.

    In place it is the primary, whose data need the fewest changes.

    Args:
        wanted: A host by name, or nothing.
        answering: Names of the database hosts that answer over SSH.
        clusters: What Patroni on these hosts reports; other values where it does not answer.
        in_place: Whether the whole cluster goes back.
    """
    if wanted:
        return wanted if wanted in answering else ""
    members: list[dict[str, str]] = next((cluster["members"] for cluster in clusters if isinstance(cluster, dict)), [])
    leaders = [member["name"] for member in members if member["role"] == "leader"]
    standbys = [member["name"] for member in members if member["state"] == "streaming"]
    wishes = [name for name in (leaders if in_place else standbys + leaders) if name in answering]
    return next(iter([*wishes, *answering]), "")


def begun(hosts: Sequence[Mapping[str, Any]], leaders: Sequence[str]) -> dict[str, Any]:
    """Return the restore in place that was interrupted, as `host` and `note`; without one, the note's phase is empty.

    One that had promoted nothing is over if somebody has started Patroni again.

    Args:
        hosts: Variables of the database hosts, with the file in which role restore notes how far it has come.
        leaders: Names of the hosts that are a running primary.
    """
    for host in hosts:
        content = (host.get("restore_note") or {}).get("content")
        note = json.loads(b64decode(content)) if content else {"phase": ""}
        if note["phase"] and not (leaders and note["phase"] in UNDONE):
            return {"host": host["inventory_hostname"], "note": note}
    return {"host": "", "note": {"phase": ""}}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {
            "restore_begun": begun,
            "restore_host": choose_host,
            "restore_plan": plan,
            "restore_request_refusal": request_refusal,
            "restore_target": target,
            "restore_unfinished": sentence,
        }
