#!/usr/bin/python
"""Query the repository of pgBackRest for its backups."""

import json
import re
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: pgbackrest_info
short_description: Query the repository of pgBackRest for its backups
description:
  - Runs C(pgbackrest info) and returns what it printed, also if it fails. With a wrong cipher pass it prints bytes that
    are no text, which are replaced.
options:
  stanza:
    description: Name of the stanza.
    type: str
    required: true
  config:
    description: A configuration to use instead of the host's own. It is written to a temporary file.
    type: str
  timeline:
    description: If given, the history of this timeline is read from each repository. Empty for the latest one.
    type: str
  archive:
    description: If given, the WAL is listed that each repository has since the start of its newest or of its oldest
      backup.
    type: str
    choices: [newest, oldest]
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Query the repository
  pgbackrest_info:
    stanza: main
  become: true
  become_user: postgres
"""

RETURN = r"""
rc:
  description: Exit code.
  returned: always
  type: int
stdout:
  description: The backups as JSON.
  returned: always
  type: str
stderr:
  description: Errors and warnings.
  returned: always
  type: str
histories:
  description: By number of the repository its timelines, the one that was asked for, or nothing if it has none of that
    number, and its history. Without repositories that cannot be read.
  returned: always
  type: dict
archived:
  description: By number of the repository the archived WAL in runs without a gap, each as the number of its first
    segment, that of its last one, the time at which that was archived, and the time of the one before. Only the WAL
    that leads to O(timeline), by default to the latest one. Without repositories whose history cannot be read.
  returned: always
  type: dict
"""

SEGMENT = re.compile(r"(?P<timeline>[0-9A-F]{8})(?P<log>[0-9A-F]{8})(?P<part>[0-9A-F]{8})(-|$)")
SEGMENTS_OF_A_LOG, SEGMENT_SIZE = 256, 16 * 1024**2
Answer = tuple[int, bytes, bytes]


def printable(output: bytes) -> str:
    """Return an output without the bytes that are no text."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else "?" for letter in output.decode(errors="replace")
    )


def histories(run: Callable[..., Answer], text: str, wanted: str) -> dict[str, Any]:
    """Return the history of a timeline by repository.

    Args:
        run: Runs a command of pgBackRest on a repository.
        text: What `pgbackrest info` printed.
        wanted: The timeline; empty or `latest` for the latest one.
    """
    found: dict[str, Any] = {}
    if wanted == "current":  # that of the backup
        return found
    try:
        archives = [(stanza["name"], archive) for stanza in json.loads(text) for archive in stanza.get("archive", [])]
    except ValueError:
        return found
    for stanza, archive in archives:
        number, folder = str(archive["database"]["repo-key"]), f"archive/{stanza}/{archive['id']}"
        code, out, _ = run(number, "repo-ls", folder, "--filter=^[0-9A-F]{8}\\.history$")
        if code != 0:
            continue
        timelines = [1, *sorted(int(name[:8], 16) for name in out.decode().split())]
        timeline = timelines[-1] if wanted in ("", "latest") else as_number(wanted)
        known = {"timelines": timelines, "timeline": timeline if timeline in timelines else None, "history": ""}
        if known["timeline"] and timeline != 1:
            code, out, _ = run(number, "repo-get", f"{folder}/{timeline:08X}.history")
            if code != 0:
                continue
            known["history"] = out.decode(errors="replace")
        found[number] = known
    return found


def archived(run: Callable[..., Answer], text: str, wanted: str, since: str) -> dict[str, Any]:
    """Return the runs of archived segments by repository, without repositories that cannot be listed.

    Args:
        run: Runs a command of pgBackRest on a repository.
        text: What `pgbackrest info` printed.
        wanted: The timeline to which they lead; empty or `latest` for the latest one.
        since: `newest` or `oldest`, the backup with whose start they begin.
    """
    found: dict[str, Any] = {}
    known = histories(run, text, wanted)
    try:
        stanzas = json.loads(text)
    except ValueError:
        return found
    for stanza in stanzas:
        for archive in stanza.get("archive", []):
            place = archive["database"]
            backups = [each for each in stanza.get("backup", []) if each["database"] == place]
            if not backups:
                continue
            chosen = (max if since == "newest" else min)(backups, key=lambda each: each["timestamp"]["stop"])
            number, start = str(place["repo-key"]), chosen["archive"]["start"]
            if wanted == "current":
                timelines = [(0, int(start[:8], 16))]
            elif (known.get(number) or {}).get("timeline"):
                timelines = lineage(known[number])
            else:
                continue
            times = listed(run, number, f"archive/{stanza['name']}/{archive['id']}", start[8:16], timelines)
            if times is not None:
                found[number] = runs(times)
    return found


def lineage(known: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the timelines that lead to one, the oldest first, each with the number of its first segment.

    A promotion, or the end of a restore, copies the segment in which it happens to the new timeline.
    """
    first, found = 0, []
    for line in known["history"].splitlines():
        if fields := line.split():
            found.append((first, int(fields[0])))
            upper, _, lower = fields[1].partition("/")
            first = ((int(upper, 16) << 32) + int(lower, 16)) // SEGMENT_SIZE
    return [*found, (first, known["timeline"])]


def listed(
    run: Callable[..., Answer], number: str, folder: str, first: str, timelines: list[tuple[int, int]]
) -> dict[int, int] | None:
    """Return the times of the archived segments by their numbers; None if a folder cannot be listed.

    A segment counts on the last timeline that has begun by then. On others it has a past that was undone.
    """
    code, out, _ = run(number, "repo-ls", folder, "--filter=^[0-9A-F]{16}$")
    times: dict[int, int] = {}
    for log in out.decode().split() if code == 0 else []:
        if log[8:] < first:
            continue
        code, out, _ = run(number, "repo-ls", f"{folder}/{log}", "--output=json")
        if code != 0:
            break
        for name, entry in json.loads(out).items():
            if parts := SEGMENT.match(name):
                segment = int(parts["log"], 16) * SEGMENTS_OF_A_LOG + int(parts["part"], 16)
                if int(parts["timeline"], 16) == [timeline for begun, timeline in timelines if begun <= segment][-1]:
                    times[segment] = entry.get("time", 0)
    return times if code == 0 else None


def runs(times: dict[int, int]) -> list[list[int]]:
    """Return the runs of successive segments, each as the first, the last, its time, and the time of the one before."""
    found: list[list[int]] = []
    for segment in sorted(times):
        if found and segment == found[-1][1] + 1:
            found[-1][1:] = [segment, times[segment], found[-1][2]]
        else:
            found.append([segment, segment, times[segment], times[segment]])
    return found


def as_number(timeline: str) -> int:
    """Return the number of a timeline, which may be written as 0x1F; 0 if it is none."""
    try:
        return int(timeline, 0)
    except ValueError:
        return 0


def main() -> None:
    """Run the module."""
    arguments: dict[str, Any] = {"stanza": {"type": "str", "required": True}, "config": {"type": "str", "no_log": True}}
    arguments |= {"timeline": {"type": "str"}, "archive": {"type": "str", "choices": ["newest", "oldest"]}}
    module = AnsibleModule(arguments, supports_check_mode=True)
    base = ["pgbackrest", f"--stanza={module.params['stanza']}", "--io-timeout=10", "--log-level-console=warn"]
    if not module.get_bin_path("pgbackrest"):
        module.exit_json(changed=False, rc=127, stdout="", stderr="pgBackRest is not installed on this host")
    with ExitStack() as stack:
        if module.params["config"]:
            file = stack.enter_context(tempfile.NamedTemporaryFile("w"))
            file.write(module.params["config"])
            file.flush()
            base.append(f"--config={file.name}")

        def run(number: str, *words: str) -> Answer:
            answer: Answer = module.run_command([*base, f"--repo={number}", *words], cwd="/", encoding=None)
            return answer

        code, out, error = module.run_command([*base, "--output=json", "info"], cwd="/", encoding=None)
        text, wanted = printable(out), module.params["timeline"]
        found = histories(run, text, wanted) if code == 0 and wanted is not None else {}
        since = module.params["archive"]
        wal = archived(run, text, wanted or "", since) if code == 0 and since else {}
    module.exit_json(changed=False, rc=code, stdout=text, stderr=printable(error), histories=found, archived=wal)


if __name__ == "__main__":
    main()
