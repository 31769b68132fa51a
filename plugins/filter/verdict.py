"""Reports how a deploy or a rollback ended: why it failed, and what the hosts and load balancers answer afterwards."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from plugins.filter.cause import first_cause

Host = Mapping[str, Any]
Notes = Mapping[str, Mapping[str, str]]
# The name under which deploys and rollbacks drain hosts.
RUN = "deploy"
NOT_DRAINED = "not drained"


def verdict(
    hosts: Sequence[Host], plan: Mapping[str, Any], failure: str, apps: Sequence[str], drained: Notes, known: bool
) -> str:
    """Describe a failed run in sentences: its cause, and the state of each host that it has touched.

    Args:
        hosts: Variables of the plan's hosts. `app_seen` is what a host answered after the failure.
        plan: The plan; empty if the run failed before it had one.
        failure: What went wrong.
        apps: Names of all hosts that serve requests.
        drained: The load balancers' notes after the failure, by drained host.
        known: Whether any load balancer has answered.
    """
    before, drained = plan.get("before", {}), drained if known else {}
    begun = {host["inventory_hostname"]: host for host in hosts if "deploy_switched" in host}
    touched = {name: host for name, host in begun.items() if before.get(name)}
    states: dict[str, list[str]] = {}
    for name, host in touched.items():
        place = where(drained.get(name), known) if name in apps else ""
        states.setdefault(state(host, before[name], place), []).append(name)
    well = [name for name, host in touched.items() if not trouble(host, before[name]) and by_whom(drained, name) != RUN]
    ill = [name for name in touched if name not in well]
    restored = [host["inventory_hostname"] for host in hosts if host.get("app_restored", {}).get("changed")]
    sentences = [failure, *([] if begun else ["No host was switched."])]
    serve = [host for host in hosts if not trouble(host, before.get(host["inventory_hostname"], ""))]
    plain = len(states) == 1 and ";" not in next(iter(states))
    everywhere = ", which serves everywhere" if plain and serve == list(hosts) else ""
    sentences += [f"{', '.join(names)} {text}{everywhere}." for text, names in states.items()]
    if ill:
        sentences.append(f"Repair {', '.join(ill)} and run this again.")
    if any("app_seen" in touched[name] for name in ill) and not restored:
        sentences.append(
            "Settings are not rolled back with a release: if a setting is the cause, correct it in the inventory."
        )
    if restored:
        sentences.append(f"The previous settings were restored on {', '.join(restored)}.")
    if first_time := [name for name in begun if name not in touched]:
        sentences.append(
            f"{', '.join(first_time)} had no previous release to go back to; fix the cause and run this again."
        )
    return " ".join(sentences)


def by_whom(drained: Notes, name: str) -> str:
    """Who has drained a host, empty if nobody has."""
    return drained[name]["by"] if name in drained else ""


def where(note: Mapping[str, str] | None, known: bool) -> str:
    """Whether the load balancers send requests to a host."""
    if not known:
        return "no load balancer answers whether it is drained"
    if note is None:
        return NOT_DRAINED
    return "left drained" if note["by"] == RUN else f"drained by {note['by']}: {note['why']}"


def state(host: Host, before: str, place: str) -> str:
    """What became of a touched host, in words that follow its name."""
    why = trouble(host, before)
    if not runs(host, before):
        text = f"could not go back to {before} ({why})"
    else:
        text = f"went back to {before}" + (f", but {why}" if why else "")
    return f"{text}; {place}" if place and (why or place != NOT_DRAINED) else text


def runs(host: Host, release: str) -> bool:
    """Whether all services of a host run a release, and its next start would."""
    seen = host.get("app_seen", {})
    running = seen.get("running", {})
    return (
        seen.get("current") == release
        and set(running.values()) == {release}
        and ("app" in running or not seen["serves"])
    )


def trouble(host: Host, release: str) -> str:
    """Why a host does not serve a release, empty if it does."""
    if "app_seen" not in host:
        return "it does not answer"
    seen = host["app_seen"]
    if not runs(host, release):
        others = [
            f"{service} runs {name or 'no known release'}"
            for service, name in seen["running"].items()
            if name != release
        ]
        stopped = ["app does not run"] if seen["serves"] and "app" not in seen["running"] else []
        return ", ".join(others + stopped) or "no service runs"
    if not seen["serves"] or 0 < int(seen["status"]) < HTTPStatus.INTERNAL_SERVER_ERROR:
        return ""
    answer = "has no answer" if int(seen["status"]) < 0 else f"answers {seen['status']}"
    return f"{seen['url']} (app_port, app_health_path) {answer}"


def serving(hosts: Sequence[Host], plan: Mapping[str, Any], drained: Notes) -> list[str]:
    """The hosts that serve their previous release although a deploy has drained them."""
    names = {host["inventory_hostname"]: host for host in hosts}
    before = plan["before"]
    return [
        name
        for name, host in names.items()
        if by_whom(drained, name) == RUN and before.get(name) and not trouble(host, before[name])
    ]


def done(plan: Mapping[str, Any], drained: Notes) -> str:
    """Describe a run that succeeded: where its release serves, and which hosts get no requests."""
    serve = [name for name in plan["hosts"] if name not in drained]
    sentences = [f"{plan['release']} serves on {', '.join(serve) or 'no host'}."]
    sentences += [f"{name} is drained by {note['by']}: {note['why']}." for name, note in drained.items()]
    return " ".join(sentences)


def silent_hosts(hosts: Sequence[Host]) -> list[str]:
    """The hosts that did not take part in the rescue."""
    return [host["inventory_hostname"] for host in hosts if "deploy_answers" not in host]


# A delegated task fails without a result for its host.
NO_RESULT = "A load balancer, or another host that the run needs, does not answer."


def failure(hosts: Sequence[Host]) -> str:
    """What went wrong, in sentences: the host, the task, its message and its log.

    Hosts with the same message share a sentence. Hosts that do not answer any more have no result.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for host in (host for host in hosts if "ansible_failed_result" in host):
        name, task, result = host["inventory_hostname"], host["ansible_failed_task"], host["ansible_failed_result"]
        failed = [part for part in result.get("results", []) if part.get("failed")]
        message = " ".join(" ".join(map(message_of, failed or [result])).split()) or "it gave no message"
        # This project writes the messages of `fail` and `assert`.
        if task["action"].rpartition(".")[2] not in ("fail", "assert"):
            log = f"Its log: {host['app_cause']}. " if host.get("app_cause") else ""
            log += f"`journalctl -u app -u celery-worker -n 50` on {name} shows more."
            message = f'{name} failed at "{task["name"]}": {message.rstrip(".")}. {log}'
        kind = re.sub(rf"\b{re.escape(name)}\b", "HOST", message)
        found.setdefault(kind, (message, []))[1].append(name)
    parts = [
        message + (f" The same on {', '.join(others)}." if others and "HOST" in kind else "")
        for kind, (message, (_, *others)) in found.items()
    ]
    if silent := silent_hosts(hosts):
        parts.append(f"{', '.join(silent)} did not answer any more.")
    return " ".join(parts) or NO_RESULT


def message_of(result: Mapping[str, Any]) -> str:
    """The message of a result, with the item of its loop. Of a command it is the first line of its error."""
    item = result.get("item")
    output = f"{result.get('stderr', '')}\n{result.get('stdout', '')}".strip() if result.get("rc") else ""
    message = first_cause(output) if output else str(result.get("msg", ""))
    return (f"{item}: " if isinstance(item, str) else "") + message


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {
            "deploy_verdict": verdict,
            "deploy_serving": serving,
            "deploy_done": done,
            "deploy_failure": failure,
        }
