"""Hosts that no run has set up yet: only a run that installs every tier can begin with them."""

from collections.abc import Collection, Mapping, Sequence

ALLOW = "or continue without {} with -e preflight_allow_unreachable=true"
# What a playbook does with hosts that are not set up: it installs them, it cannot work on them, or its roles decide.
INSTALL, REFUSE, IGNORE = "install", "refuse", "ignore"
# The groups that have data → a file of /etc/systemd/system that only their role writes.
DATA = {"etcd": "etcd.service.d", "postgres": "patroni.service.d", "redis": "redis@.service"}


def refused(
    new_hosts: str, set_up: Mapping[str, bool], elsewhere: Mapping[str, bool], left_out: Sequence[str]
) -> list[str]:
    """A sentence if the run cannot begin with its hosts.

    Args:
        new_hosts: What the playbook does with hosts that are not set up.
        set_up: For each host of the run that answers, whether it is set up.
        elsewhere: The same for other hosts of the inventory. Only needed if no host of the run is set up.
        left_out: The other hosts of the inventory.
    """
    new = sorted(host for host, done in set_up.items() if not done)
    if not new:
        return []
    if not any([*set_up.values(), *elsewhere.values()]):
        part = ", ".join(sorted(left_out)) or "some tiers"
        sentence = (
            f"No host that answers is set up yet, and this run leaves out {part}. Run 'ansible-playbook site.yml' for "
            "the whole fleet first, without --limit and --tags."
        )
        return [] if new_hosts == INSTALL and not left_out else [sentence]
    hosts = ",".join(new)
    sentence = (
        f"Not set up yet: {hosts}. First run 'ansible-playbook site.yml --limit {hosts}' without --tags, or leave them "
        "out with --limit."
    )
    return [sentence] if new_hosts == REFUSE else []


def without(down: Sequence[str], set_up: Collection[bool]) -> list[str]:
    """A sentence for each host that is down, if no host is set up yet: there is no fleet that works without it.

    Args:
        down: For each of these hosts the beginning of the sentence.
        set_up: For each host that answers, whether it is set up.
    """
    if any(set_up) or not set_up:
        return []
    return [
        f"{host}. No host is set up yet, so the first run needs all of them: start it, {ALLOW.format('it')}."
        for host in down
    ]


def new_groups(groups: Mapping[str, Sequence[str]], records: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The groups with data of which a host answers, and no host that answers has the data.

    Args:
        groups: The inventory's groups.
        records: For each host that answers the records in its answer.
    """
    tiers = {
        group: [records[host].get("TIERS", "").split() for host in groups.get(group, ()) if host in records]
        for group in DATA
    }
    return [group for group, found in tiers.items() if found and not any(DATA[group] in names for names in found)]


def emptied(
    new: Sequence[str], groups: Mapping[str, Sequence[str]], records: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """A sentence for each group that would begin empty, although the fleet has served.

    A host that does not answer may have the data, so its group is not refused.

    Args:
        new: The groups to judge.
        groups: The inventory's groups.
        records: For each host that answers the records in its answer.
    """
    serving = sorted(host for host, fields in records.items() if fields.get("SERVES"))
    empty = [group for group in new_groups(groups, records) if group in new and {*groups[group]} <= {*records}]
    return [
        f"No host of group {group} ({', '.join(groups[group])}) has its data, but {serving[0]} has a release already, "
        "so the group would begin empty beside the old data; add a host that has them, run site.yml, and take it out "
        "afterwards with playbooks/remove.yml. If the data are lost, begin empty with -e "
        "preflight_allow_empty_groups=true."
        for group in (empty if serving else ())
    ]
