#!/usr/bin/python
"""Wait until a restored Postgres pauses at the target of its recovery, and prove that it is there."""

import re
import time
from datetime import datetime

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: restore_reached
short_description: Wait until a restored Postgres pauses at the target of its recovery
description:
  - A server that accepts connections has reached consistency, which may be long before the target. So this waits until
    the replay pauses, and fails as soon as the unit has ended.
  - Fails if the last replayed commit is later than the target. Runs as root. Changes nothing.
options:
  unit:
    description: Unit of systemd that runs Postgres.
    type: str
    required: true
  socket:
    description: Folder of its socket.
    type: str
    required: true
  port:
    description: Its port.
    type: int
    required: true
  target:
    description: The point in time, with its time zone. If empty, this waits until the archive is replayed to its end,
      and Postgres has promoted itself.
    type: str
    required: true
  timeout:
    description: Maximum number of seconds. The log of a week takes hours.
    type: int
    default: 86400
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Wait until it pauses at the target
  restore_reached:
    unit: postgres-beside
    socket: /run/postgres-beside
    port: 5433
    target: 2026-11-29 03:00:00+00
"""

RETURN = r"""
last_commit:
  description: Time of the last commit that was replayed; empty if the data are exactly those of the backup.
  returned: always
  type: str
next_commit:
  description: Time of the first commit that was not replayed; empty if the log does not say.
  returned: always
  type: str
timeline:
  description: The timeline of the data.
  returned: always
  type: int
"""

STOPPED = re.compile(r"recovery stopping before (?:commit|abort) of transaction \d+, time (\S+ \S+)")
# Recovery pauses here, too, unless the server does not accept connections meanwhile.
LOWER = re.compile(r"DETAIL:\s+(\w+ = \d+) is a lower setting than on the primary server, where its value was (\d+)")
FATAL = re.compile(r"(?:FATAL|PANIC):\s+(.*)")
# Clients that come too early get these.
EARLY = re.compile(r"the database system is|not yet accepting connections")
TOO_LATE = "recovery ended before configured recovery target was reached"
AT_TARGET = "pausing at the end of recovery"
# Seconds that the journal of a busy host may need to have what the server has logged.
JOURNAL = 30


def query(target: str) -> str:
    """Return the query for the state of the replay: `paused` if it has reached its end."""
    last = "pg_last_xact_replay_timestamp()"
    state = "pg_get_wal_replay_pause_state()" if target else "case when pg_is_in_recovery() then '' else 'paused' end"
    before = f"coalesce({last} <= '{target}'::timestamptz, true)" if target else "true"
    return (
        f"select {state}, coalesce(({last} at time zone 'UTC')::text || '+00', ''), {before}, "
        "(select timeline_id from pg_control_checkpoint())"
    )


def next_commit(log: str) -> str:
    """Return the time of the commit before which the recovery stopped, from the server's log."""
    return str((STOPPED.findall(log) or [""])[-1])


def why(log: str, target: str) -> str:
    """Return why the server ended, in a sentence."""
    found = [line for line in FATAL.findall(log) if not EARLY.search(line)]
    if any(TOO_LATE in line for line in found):
        return f"The archive ends before {target}: no commit after it was archived. Choose an earlier time."
    if lower := too_low(log):
        return f"Postgres ended before it reached {target}: {lower}."
    reason = found[0].rstrip(".") if found else (log.strip().splitlines() or ["its log is empty"])[-1]
    return f"Postgres ended before it reached {target}: {reason}."


def proven(found: list[str], log: str, target: str) -> str:
    """Return why the data are not those of the target, in a sentence; empty if they are."""
    _, last, before, _ = found
    if lower := too_low(log):
        return f"The replay did not reach {target}: {lower}."
    if before != "t":
        return f"The data are newer than {target}: their last commit is of {last}."
    stopped = next_commit(log)
    if target and stopped and moment(stopped) <= moment(target):
        return f"The replay stopped before {target}: the next commit is of {stopped}."
    return ""


def too_low(log: str) -> str:
    """Return which setting of the server ended the replay early, or nothing."""
    found = LOWER.search(log)
    return f"{found[1]} of the restored server is lower than the {found[2]} that the primary had later" if found else ""


def complete(log: str, target: str) -> bool:
    """Whether the server's log says why the replay has ended."""
    return not target or AT_TARGET in log or bool(too_low(log))


def moment(text: str) -> datetime:
    """Return a time that Postgres has written, whose offset has only hours."""
    return datetime.fromisoformat(text)


def main() -> None:
    """Run the module."""
    spec = {name: {"type": "str", "required": True} for name in ("unit", "socket", "target")}
    spec |= {"port": {"type": "int", "required": True}, "timeout": {"type": "int", "default": 86400}}
    module = AnsibleModule(spec, supports_check_mode=True)
    unit, target = module.params["unit"], module.params["target"]
    client = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-h", module.params["socket"]]
    client += ["-p", str(module.params["port"]), "-d", "postgres", "-c", query(target)]

    def log() -> str:
        since = module.run_command(["systemctl", "show", "--property=InvocationID", "--value", unit])[1].strip()
        return str(module.run_command(["journalctl", "-q", "-o", "cat", f"_SYSTEMD_INVOCATION_ID={since}"])[1])

    end = time.monotonic() + module.params["timeout"]
    while True:
        code, out, error = module.run_command(client, cwd="/")
        found = out.strip().split("|")
        if code == 0 and found[0] == "paused":
            break
        if module.run_command(["systemctl", "is-active", "--quiet", unit])[0] != 0:
            module.fail_json(msg=why(log(), target))
        if time.monotonic() > end:
            module.fail_json(
                msg=f"{target} was not reached within {module.params['timeout']} s: {error.strip() or out.strip()}. "
                f"`journalctl -u {unit}` shows how far the restore is. Then run the command again."
            )
        time.sleep(0.3)
    text, end = log(), time.monotonic() + JOURNAL
    while not complete(text, target) and time.monotonic() < end:
        time.sleep(0.3)
        text = log()
    if wrong := proven(found, text, target):
        module.fail_json(msg=wrong)
    module.exit_json(changed=False, last_commit=found[1], next_commit=next_commit(text), timeline=int(found[3]))


if __name__ == "__main__":
    main()
