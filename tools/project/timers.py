"""Finds commands that run at times: the `cron` of app.json, as Dokku reads it, or of Scalingo's cron.json."""

import json
import re
from typing import Any

from tools.project.tree import Finding, ProjectError, Tree, table

WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
WORDS = {"@annually": "yearly", "@midnight": "daily"}


def timers(tree: Tree) -> Finding | None:
    """Return the timers that a file of the project lists."""
    found: dict[str, dict[str, Any]] = {}
    for name, key in (("app.json", "cron"), ("cron.json", "jobs")):
        for number, job in enumerate(jobs(tree, name, key), 1):
            line, schedule = str(job.get("command", "")), str(job.get("schedule", ""))
            if name == "cron.json":  # the schedule and the command are one line, as in a crontab
                fields = 1 if line.startswith("@") else 5
                words = line.split(maxsplit=fields)
                schedule, line = " ".join(words[:fields]), " ".join(words[fields:])
            if calendar := on_calendar(schedule):
                found[f"cron-{number}"] = {"command": line, "schedule": calendar}
            else:
                raise ProjectError(f"{name}: the schedule {schedule!r} of {line!r} is not one of cron; correct it.")
        if found:
            return Finding("app_timers", found, f"{name}: {key}")
    return None


def jobs(tree: Tree, name: str, key: str) -> list[dict[str, Any]]:
    """Return the jobs of a file. They are empty if it has none."""
    try:
        content = json.loads(tree.read(name) or "{}")
    except ValueError as error:
        raise ProjectError(f"{name} is not valid JSON: {error}; correct it.") from error
    listed = table({"": content}, "").get(key)
    return [job for job in listed if isinstance(job, dict)] if isinstance(listed, list) else []


def on_calendar(schedule: str) -> str:
    """Return a schedule of cron as a calendar expression of systemd. It is empty if the schedule is not valid."""
    if re.fullmatch("@(hourly|daily|midnight|weekly|monthly|yearly|annually)", schedule):
        return WORDS.get(schedule, schedule[1:])
    fields = schedule.split()
    if len(fields) != 5 or not all(re.fullmatch(r"[\w*/,-]+", field) for field in fields):
        return ""
    minute, hour, day, month, weekday = fields
    for number, name in enumerate(MONTHS.split(), 1):
        month = re.sub(name, str(number), month, flags=re.IGNORECASE)
    weekday = re.sub(r"\d", lambda digit: WEEKDAYS[min(int(digit[0]), 7)], weekday)
    prefix = "" if weekday == "*" else f"{weekday.replace('-', '..').title()} "
    date = f"*-{values(month, 1)}-{values(day, 1)}"
    return f"{prefix}{date} {values(hour, 0)}:{values(minute, 0)}:00"


def values(field: str, first: int) -> str:
    """Return a field of cron in the notation of systemd: `*/15` is `0/15`, and `1-5` is `1..5`."""
    return re.sub(r"^\*/", f"{first}/", field).replace("-", "..")
