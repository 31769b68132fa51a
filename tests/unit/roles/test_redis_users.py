"""The users of role redis: nobody can log in as `default`, but the append-only file is replayed with its rights."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.filter.core import FilterModule
from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROLE = Path(__file__).parents[3] / "roles" / "redis"


def users(item: str) -> list[str]:
    """Return the lines of the ACL file of an instance or of Sentinel."""
    jinja = Environment(loader=FileSystemLoader(ROLE / "templates"), undefined=StrictUndefined, trim_blocks=True)
    jinja.filters.update(FilterModule().filters())
    rules = {"__redis_instance_acl": {"admin": "~* &* +@all"}, "__redis_sentinel_acl": {"admin": "&* +@all"}}
    text: str = jinja.get_template("users.acl.j2").render(item=item, __redis_passwords={"admin": "secret"}, **rules)
    return text.splitlines()


def test_the_default_user_cannot_log_in() -> None:
    for item in ("store", "cache", "sentinel"):
        default, admin = users(item)
        assert default.startswith("user default off ")
        assert "nopass" not in default
        assert admin.startswith("user admin on ")


def test_the_default_user_of_an_instance_has_all_rights() -> None:
    # Redis 8.0 replays its append-only file as `default`, and drops transactions that this user may not run.
    assert users("store")[0].endswith(" ~* &* +@all")
    assert users("sentinel")[0].endswith(" -@all")
