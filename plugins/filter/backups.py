"""Read what pgBackRest prints about its repositories (`pgbackrest info --output=json`)."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from plugins.timelines import gap_after, leads_there

# After a longer time without archived WAL, one does not know whether some is missing.
QUIET_SECONDS = 60
# pgBackRest's codes for a stanza that does not exist in a repository.
MISSING_STANZA = (1, 3)
# Its code for a repository that cannot be read. The exit code of the command is 0 then.
UNREADABLE = 99
# The answer of a bucket that refuses a request.
REFUSED = re.compile(r"<Code>([^<]*)</Code>.*?<Message>([^<]*)</Message>", re.DOTALL)
# What pgBackRest reports for a repository that it cannot decrypt. None of its messages names the pass.
WRONG_PASS = re.compile(
    r"outside of section at line 1|CryptoError(?!\]:? unable to verify certificate)|unable to decrypt|invalid salt",
    re.IGNORECASE,
)
# The end of a backup in a repository without a stanza.
NO_INFO = "[055]: unable to load info file"
NO_STANZA = "has no stanza: it is new, or its disk is not mounted. Mount it, or run site.yml, which creates it"
OTHER_PASS = "vault_pgbackrest_cipher_pass is not the pass with which it was made"
HEADINGS = ("ENDED (UTC)", "TYPE", "REPOSITORY", "DATABASE", "STORED", "TOOK", "LABEL")


def backup_rows(text: str) -> list[dict[str, Any]]:
    """The backups that can be restored, the newest first."""
    stanza = _stanza(text)
    rows = [
        {
            "label": backup["label"],
            "type": backup["type"],
            "repository": backup["database"]["repo-key"],
            "start": _time(backup["timestamp"]["start"]),
            "stop": _time(backup["timestamp"]["stop"]),
            "seconds": backup["timestamp"]["stop"] - backup["timestamp"]["start"],
            "database_bytes": backup["info"]["size"],
            "stored_bytes": backup["info"]["repository"]["delta"],
        }
        for backup in stanza.get("backup", [])
        if not backup.get("error")
    ]
    return sorted(rows, key=lambda row: str(row["stop"]), reverse=True)


def backup_gap(answer: Mapping[str, Any]) -> bool:
    """Whether a repository lacks WAL since its newest backup, so that later points in time cannot be reached.

    That is also so if a restore has undone the time of its newest backup.

    Args:
        answer: The result of the module pgbackrest_info with `archive: newest` and `timeline: latest`.
    """
    newest: dict[Any, Mapping[str, Any]] = {}
    for backup in _stanza(answer["stdout"]).get("backup", []):
        newest[backup["database"]["repo-key"]] = backup
    return any(
        gap_after(backup, answer["archived"]) is not None or not leads_there(backup, answer["histories"])
        for backup in newest.values()
    )


def backup_silent(answer: Mapping[str, Any], now: float) -> bool:
    """Whether a repository got no WAL for a minute. It may be quiet, or archiving was switched on only now."""
    return any(not runs or now - runs[-1][2] > QUIET_SECONDS for runs in answer["archived"].values())


def backup_missing_stanza(text: str, repositories: int) -> bool:
    """Whether the stanza must be created in one of the repositories."""
    codes = [repository["status"]["code"] for repository in _stanza(text).get("repo", [])]
    return len(codes) < repositories or any(code in MISSING_STANZA for code in codes)


def backup_guard(
    repositories: Sequence[Mapping[str, Any]], backup: Sequence[str], databases: Sequence[str], port: int
) -> str:
    """The beginning of a shell command that fails at once if the first repository is away. Empty if it is on the host.

    A promotion queries the archive several times. pgBackRest needs seconds to give up each time: measured, it took 30 s
    instead of half a second to promote a standby.

    Args:
        repositories: The value of pgbackrest_repositories.
        backup: The host of the group backup.
        databases: The hosts of the group postgres.
        port: The port of pgBackRest's server.
    """
    first = repositories[0] if repositories else {}
    if first.get("type") == "s3":
        host, seconds, number = backup_endpoint(first), "2", first.get("port") or 443
    elif first and list(backup) != list(databases):
        host, seconds, number = backup[0], "0.5", port
    else:
        return ""
    return f"timeout {seconds} bash -c '</dev/tcp/{host}/{number}' 2>/dev/null && "


def backup_unreadable(text: str) -> list[str]:
    """A sentence about each repository that cannot be read."""
    return [
        f"Repository {repository['key']} cannot be read: {backup_reason(repository['status']['message'])}."
        for repository in _stanza(text).get("repo", [])
        if repository["status"]["code"] == UNREADABLE
    ]


def backup_reason(message: str) -> str:
    """The cause in what pgBackRest reports about a repository. For a bucket, that may be a whole HTTP answer."""
    if WRONG_PASS.search(message):
        return OTHER_PASS
    if refused := REFUSED.search(message):
        return f"{refused[1]}: {refused[2].rstrip('.')}"
    first, *others = message.splitlines() or ["unknown"]
    hints = [line.removeprefix("HINT: ") for line in map(str.strip, others) if line.startswith("HINT: ")]
    return " - ".join([re.sub(r"^\[\w+\] ", "", first).rstrip(".:"), *hints])


def backup_error(lines: Sequence[str], default: str) -> str:
    """The last error of pgBackRest in the lines of a journal.

    Args:
        lines: What pgBackRest has logged, the newest last, as JSON of journalctl or as text.
        default: The result if no line is an error.
    """
    errors = [line.partition(" ERROR: ")[2] for line in map(_message, lines) if " ERROR: " in line]
    if errors and any(WRONG_PASS.search(error) for error in errors):
        return f"The repository cannot be decrypted: {OTHER_PASS}"
    if errors and errors[-1].startswith(NO_INFO):
        return f"The repository {NO_STANZA}"
    return errors[-1] if errors else default


def _message(line: str) -> str:
    """The message of an entry of the journal. With a wrong passphrase, pgBackRest logs bytes that are no text."""
    if not line.startswith("{"):
        return line
    message = json.loads(line).get("MESSAGE") or ""
    return message if isinstance(message, str) else bytes(message).decode(errors="replace")


def backup_endpoint(repository: Mapping[str, Any]) -> str:
    """The server of a bucket: the given one, or Amazon's of the region."""
    region = str(repository["region"])
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return str(repository.get("endpoint") or f"s3.{region}.{domain}")


def backup_folders(repositories: Sequence[Mapping[str, Any]], default: str) -> dict[str, str]:
    """The folders of those repositories that are on the host itself, by number."""
    return {
        str(number): str(repository.get("path") or default)
        for number, repository in enumerate(repositories, 1)
        if repository["type"] == "host"
    }


def backup_rehearsals(results: Mapping[str, Any], repositories: int) -> list[str]:
    """A sentence about the last rehearsal of each repository, and about a verify that found damage.

    Args:
        results: What backup-check has written.
        repositories: The number of repositories.
    """
    found = []
    for number in range(1, repositories + 1):
        rehearsal, verify = (results.get(kind, {}).get(str(number)) for kind in ("rehearsal", "verify"))
        if not rehearsal:
            found.append(f"Repository {number} was never rehearsed. `bin/fleet rehearse` does it now.")
        elif rehearsal["ok"]:
            found.append(
                f"Repository {number} was rehearsed at {_time(rehearsal['at'])}: {_size(rehearsal['bytes'])} restored "
                f"and checked in {rehearsal['seconds']:.0f} s, {rehearsal['age']:.0f} s old."
            )
        else:
            found.append(_failed(number, rehearsal))
        if verify and not verify["ok"]:
            found.append(f"Verify of repository {number} failed at {_time(verify['at'])}: {verify['reason']}")
    return found


def backup_failed_rehearsals(results: Mapping[str, Any]) -> list[str]:
    """A sentence about each repository whose last rehearsal failed."""
    rehearsals = results.get("rehearsal", {})
    return [_failed(number, result) for number, result in rehearsals.items() if not result["ok"]]


def _failed(number: int | str, result: Mapping[str, Any]) -> str:
    return f"The rehearsal of repository {number} failed at {_time(result['at'])}: {result['reason']}"


def backup_document(
    text: str, archived: Sequence[Any] = (), results: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the repositories contain, and the points in time to which the database can go back.

    Args:
        text: What pgBackRest prints.
        archived: When the primary last archived WAL, in seconds since 1970. Of several hosts, or empty.
        results: What backup-check has written about rehearsals and verify.
    """
    rows = backup_rows(text)
    times = [float(each) for each in archived if each]
    stops = [backup["timestamp"]["stop"] for backup in _stanza(text).get("backup", []) if not backup.get("error")]
    return {
        "backups": rows,
        # pgBackRest compares whole seconds, and restores only to a later one.
        "from": _time(min(stops) + 1) if stops else None,
        "until": _time(max(times)) if rows and times else None,
        "repositories": [
            {"number": repository["key"], "status": backup_reason(repository["status"]["message"])}
            for repository in _stanza(text).get("repo", [])
        ],
        "unreadable": backup_unreadable(text)
        + [
            f"Repository {repository['key']} {NO_STANZA}."
            for repository in _stanza(text).get("repo", [])
            if repository["status"]["code"] in MISSING_STANZA
        ],
        "rehearsals": dict((results or {}).get("rehearsal", {})),
        "verify": dict((results or {}).get("verify", {})),
    }


def backup_table(document: Mapping[str, Any]) -> list[str]:
    """The lines of a table of the backups, and the points in time that can be reached."""
    rows = [
        (
            _short(row["stop"]),
            row["type"],
            str(row["repository"]),
            _size(row["database_bytes"]),
            _size(row["stored_bytes"]),
            f"{row['seconds']} s",
            row["label"],
        )
        for row in document["backups"]
    ]
    if not rows:
        return document["unreadable"] or ["There is no backup yet. `bin/fleet backup` makes one."]
    widths = [max(len(row[column]) for row in [HEADINGS, *rows]) for column in range(len(HEADINGS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in [HEADINGS, *rows]]
    until = f"{document['until']}" if document["until"] else "an unknown time (the primary has not archived WAL yet)"
    broken = [f"Repository {r['number']}: {r['status']}." for r in document["repositories"] if r["status"] != "ok"]
    reach = f"The database can go back to any time from {document['from']} until {until}."
    proofs = backup_rehearsals(
        {"rehearsal": document["rehearsals"], "verify": document["verify"]}, len(document["repositories"])
    )
    return [*(line.rstrip() for line in lines), "", reach, *broken, *proofs]


def _stanza(text: str) -> dict[str, Any]:
    found = json.loads(text or "[]")
    return dict(found[0]) if found else {}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S+00")


def _short(time: str) -> str:
    return time.removesuffix("+00")


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {
            "backup_rows": backup_rows,
            "backup_missing_stanza": backup_missing_stanza,
            "backup_endpoint": backup_endpoint,
            "backup_error": backup_error,
            "backup_gap": backup_gap,
            "backup_silent": backup_silent,
            "backup_folders": backup_folders,
            "backup_guard": backup_guard,
            "backup_document": backup_document,
            "backup_failed_rehearsals": backup_failed_rehearsals,
            "backup_rehearsals": backup_rehearsals,
            "backup_table": backup_table,
            "backup_unreadable": backup_unreadable,
        }
