"""The users of role redis: nobody can log in as `default`, but the append-only file is replayed with its rights."""

from __future__ import annotations

import pytest
from ansible.template import Templar, trust_as_template

from tests.unit.roles.modules import read_yaml, render


# Redis 8.0 replays its append-only file as `default`, and drops transactions that this user may not run.
@pytest.mark.parametrize(
    ("item", "rights"), [("store", "~* &* +@all"), ("cache", "~* &* +@all"), ("sentinel", "-@all")]
)
def test_the_default_user_cannot_log_in_and_has_all_rights_on_an_instance(item: str, rights: str) -> None:
    rules = {"__redis_instance_acl": {"admin": "~* &* +@all"}, "__redis_sentinel_acl": {"admin": "&* +@all"}}
    text = render("redis", "users.acl.j2", item=item, __redis_passwords={"admin": "secret"}, **rules)
    default, admin = text.strip().splitlines()
    assert default.startswith("user default off ")
    assert "nopass" not in default
    assert default.endswith(f" {rights}")
    assert admin.startswith("user admin on ")


@pytest.mark.parametrize(("instance", "flush"), [("cache", True), ("store", False)])
def test_the_application_may_do_what_client_libraries_do_and_empties_only_the_cache(instance: str, flush: bool) -> None:
    rules = read_yaml("roles/redis/vars/main.yml")["__redis_instance_acl"]["app"]
    words = Templar(None, {"item": instance}).template(trust_as_template(rules)).split()
    assert {"+info", "+time", "+client|list", "+keys"} < set(words[words.index("-@dangerous") :])
    assert ("+flushdb" in words) == flush
    assert not {"+flushall", "+config|get", "+client|kill", "+@all"} & set(words)
