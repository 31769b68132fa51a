"""The table of `make status`: the current role and state of each host."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tools.fleet.context import Host
from tools.fleet.troubles import troubles
from tools.fleet.view import Facts, View, drained, is_leader, size, utc, voters

# The order in which a request passes the tiers. The tiers that only vote come last, because they run on hosts of other
# tiers.
TIERS = ("loadbalancers", "app", "workers", "postgres", "redis", "monitoring", "etcd", "sentinel")


class Phrase(NamedTuple):
    """One role or problem of a host."""

    text: str
    healthy: bool = True


class Row(NamedTuple):
    """The table's row for one host."""

    name: str
    address: str
    state: str
    roles: list[str]


HEADINGS = Row("HOST", "ADDRESS", "STATE", ["ROLES"])


def sorted_by_tier(hosts: Iterable[Host]) -> list[Host]:
    """Sort hosts by their first tier, then by name."""
    return sorted(
        hosts,
        key=lambda host: (min((TIERS.index(g) for g in host.groups if g in TIERS), default=len(TIERS)), host.name),
    )


def rows(hosts: Sequence[Host], view: View, vip: str) -> list[Row]:
    """Return one row for each host."""
    return [_row(host, hosts, view, vip) for host in hosts]


def _row(host: Host, hosts: Sequence[Host], view: View, vip: str) -> Row:
    if "system" not in view.get(host.name, {}):
        groups = ", ".join(group for group in TIERS if group in host.groups)
        reason = view.get(host.name, {}).get("refused")
        state, text = ("unknown", reason) if reason else ("DOWN", "no answer over SSH")
        return Row(host.name, host.address, state, [f"{text}; its groups: {groups}"])
    phrases = roles(host, hosts, view, vip)
    state = "drained" if host.name in drained(view) else "ok"
    if not all(phrase.healthy for phrase in phrases):
        state = "unhealthy"
    return Row(host.name, host.address, state, [phrase.text for phrase in phrases])


def roles(host: Host, hosts: Sequence[Host], view: View, vip: str) -> list[Phrase]:
    """Describe a host that answers: a phrase for each of its tiers, then its problems."""
    facts = view[host.name]
    found = []
    if "loadbalancers" in host.groups:
        found.append(Phrase(f"load balancer with {vip}" if facts.get("vip") else "load balancer"))
    if "app" in host.groups:
        found.append(Phrase("app ready") if facts.get("app") else Phrase("app NOT READY", False))
    if "workers" in host.groups:
        found.append(Phrase("worker and beat" if facts.get("beat") else "worker"))
    if host.groups & {"app", "workers"}:
        found.append(Phrase(f"release {facts['release']}") if facts.get("release") else Phrase("NO RELEASE", False))
    if "postgres" in host.groups:
        found.append(postgres(host, view))
        found += [] if facts.get("patroni") else [Phrase("patroni DOWN", False)]
    if "redis" in host.groups:
        found.append(redis("cache", host, view))
    if host.groups & {"redis", "sentinel"}:
        found.append(redis("store", host, view))
    if "etcd" in host.groups:
        found.append(etcd(facts, _share("etcd", hosts, view)))
    if "sentinel" in host.groups:
        word = "" if facts.get("sentinel") else "DOWN "
        found.append(Phrase(f"sentinel {word}{_share('sentinel', hosts, view)}", bool(facts.get("sentinel"))))
    if "monitoring" in host.groups:
        found.append(Phrase("monitoring"))
    if backups := facts.get("backups"):
        found += backed_up(backups)
    if drain := drained(view).get(host.name):
        found.append(Phrase(f"drained{drain.where} by {drain.by} since {drain.when}: {drain.why}"))
    own = [trouble.sentence for trouble in troubles(hosts, view) if trouble.kind.in_row and trouble.host == host.name]
    return found + [Phrase(sentence.removeprefix(f"{host.name} "), False) for sentence in own]


def backed_up(backups: Facts) -> list[Phrase]:
    """Describe the backups: the oldest of the last ones in each repository, and of the last rehearsals."""
    last, rehearsed = (min(backups[name].values(), default=0) for name in ("last", "rehearsed"))
    if not last:
        return [Phrase("no backup yet")]
    return [
        Phrase(f"last backup {utc(last)}"),
        Phrase(f"last rehearsal {utc(rehearsed)}" if rehearsed else "no rehearsal yet"),
    ]


def postgres(host: Host, view: View) -> Phrase:
    """Describe a primary, or a standby with the lag that the primary reports."""
    own = view[host.name].get("postgres")
    if not own:
        return Phrase("postgres DOWN", False)
    if own["primary"]:
        archived = (own.get("archiver") or {}).get("last")
        return Phrase(f"postgres primary, WAL archived until {utc(archived)}" if archived else "postgres primary")
    primary: Facts = next((facts["postgres"] for facts in view.values() if is_leader(facts.get("postgres"))), {})
    if host.name not in primary.get("standbys", {}):
        return Phrase("postgres standby NOT STREAMING", False)
    streaming, sync, behind = primary["standbys"][host.name]
    text = f"postgres {sync} standby, {size(behind)} behind"
    return Phrase(text) if streaming == "streaming" else Phrase(f"{text}, {streaming.upper()}", False)


def etcd(facts: Facts, share: str) -> Phrase:
    """Describe a leader or member of etcd, and how many members can vote."""
    if facts.get("etcd"):
        return Phrase(f"etcd {'leader' if facts['etcd_leads'] else 'member'} {share}")
    return Phrase(f"etcd {'DOWN' if facts.get('etcd') is None else 'WITHOUT LEADER'} {share}", False)


def redis(instance: str, host: Host, view: View) -> Phrase:
    """Describe a master, or a replica with the lag that the master reports, which is up to a second old."""
    own = view[host.name].get(instance)
    if not own:
        return Phrase(f"{instance} DOWN", False)
    if own["master"]:
        return Phrase(f"{instance} master")
    master: Facts = next((facts[instance] for facts in view.values() if is_leader(facts.get(instance))), {})
    behind = master.get("behind", {}).get(host.address)
    if not own["linked"] or behind is None:
        return Phrase(f"{instance} replica WITHOUT MASTER", False)
    return Phrase(f"{instance} replica, {size(behind)} behind")


def render(lines: Sequence[Row], width: int, colours: bool = False) -> str:
    """Format the table. Roles that do not fit into the width continue on the next line."""
    widths = [max(len(str(row[column])) for row in [HEADINGS, *lines]) for column in range(3)]
    indent = sum(widths) + 2 * len(widths)
    text = []
    for row in [HEADINGS, *lines]:
        first, *others = _wrapped(row.roles, width - indent)
        state = row.state.ljust(widths[2])
        if colours and row.state not in {"ok", HEADINGS.state}:
            state = f"\033[31m{state}\033[0m"
        text.append(f"{row.name.ljust(widths[0])}  {row.address.ljust(widths[1])}  {state}  {first}")
        text += [" " * indent + other for other in others]
    return "\n".join(text)


def _wrapped(phrases: Iterable[str], width: int) -> list[str]:
    """Join phrases with semicolons, and break lines between phrases."""
    found = [""]
    for phrase in phrases:
        joined = f"{found[-1]}; {phrase}" if found[-1] else phrase
        if len(joined) < width or not found[-1]:
            found[-1] = joined
        else:
            found[-1] += ";"
            found.append(phrase)
    return found


def _share(service: str, hosts: Iterable[Host], view: View) -> str:
    """Format how many members of a quorum can vote."""
    names = [host.name for host in hosts if service in host.groups]
    return f"{len(voters(service, names, view))}/{len(names)}"
