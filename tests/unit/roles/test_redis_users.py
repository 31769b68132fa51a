"""Role redis' users: nobody is `default`, and what a transaction wrote is in the append-only file's replay."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.filter.core import FilterModule
from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROLE = Path(__file__).parents[3] / "roles" / "redis"


def users(item: str) -> list[str]:
    """The lines of an instance's or Sentinel's file of users."""
    jinja = Environment(loader=FileSystemLoader(ROLE / "templates"), undefined=StrictUndefined, trim_blocks=True)
    jinja.filters.update(FilterModule().filters())
    rules = {"__redis_instance_acl": {"admin": "~* &* +@all"}, "__redis_sentinel_acl": {"admin": "&* +@all"}}
    text: str = jinja.get_template("users.acl.j2").render(item=item, __redis_passwords={"admin": "secret"}, **rules)
    return text.splitlines()


def test_nobody_is_the_default_user() -> None:
    for item in ("store", "cache", "sentinel"):
        default, admin = users(item)
        assert default.startswith("user default off ")
        assert "nopass" not in default
        assert admin.startswith("user admin on ")


def test_an_instance_replays_its_file_with_all_rights() -> None:
    # By the rights of `default`: Redis 8.0 drops the transactions of its append-only file where that user may not run them.
    assert users("store")[0].endswith(" ~* &* +@all")
    assert users("sentinel")[0].endswith(" -@all")
