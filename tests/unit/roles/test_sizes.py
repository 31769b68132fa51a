"""Sizes that roles derive from a host's cores and memory, also on a host that several tiers share."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from ansible.plugins.filter.mathstuff import FilterModule
from jinja2 import TemplateAssertionError, UndefinedError
from jinja2.nativetypes import NativeEnvironment

from tests.unit.roles.modules import read_yaml

JINJA = NativeEnvironment()
JINJA.filters["intersect"] = FilterModule().filters()["intersect"]


def size(role: str, name: str, cores: int, megabytes: int) -> Any:
    """Return a role's default on a host with these cores and megabytes."""
    values: dict[str, Any] = {"ansible_facts": {"processor_vcpus": cores, "memtotal_mb": megabytes}}
    for variable, default in read_yaml(f"roles/{role}/defaults/main.yml").items():
        # A default may use a variable of another role or of the inventory, or one of our filters.
        with suppress(UndefinedError, TemplateAssertionError):
            values[variable] = JINJA.from_string(default).render(values) if isinstance(default, str) else default
    return values[name]


@pytest.mark.parametrize(
    ("role", "name", "small", "large"),
    [
        ("app", "app_workers", 2, 16),
        ("celery", "celery_concurrency", 2, 16),
        ("nginx", "nginx_worker_connections", 8192, 16384),
        ("nginx", "nginx_cache_size", "512m", "4096m"),
        ("postgres", "postgres_shared_buffers_mb", 512, 16384),
        ("postgres", "postgres_parallel_workers", 2, 8),
        ("redis", "redis_cache_maxmemory_mb", 768, 24576),
        ("redis", "redis_store_maxmemory_mb", 384, 12288),
    ],
)
def test_a_size_depends_on_the_host(role: str, name: str, small: Any, large: Any) -> None:
    assert size(role, name, cores=2, megabytes=2048) == small
    assert size(role, name, cores=16, megabytes=65536) == large


def test_the_cache_and_twice_the_store_fit_into_the_memory_of_redis() -> None:
    cache, store = (size("redis", f"redis_{name}_maxmemory_mb", cores=2, megabytes=4096) for name in ("cache", "store"))
    assert cache + 2 * store <= size("redis", "redis_memory_mb", cores=2, megabytes=4096)


@pytest.mark.parametrize(
    ("groups", "share"),
    [
        (["postgres", "etcd"], 0.75),
        (["redis", "sentinel"], 0.75),
        (["postgres", "redis"], 0.375),
        (["loadbalancers"], 0.75),
    ],
)
def test_tiers_on_one_host_share_its_memory(groups: list[str], share: float) -> None:
    shared = read_yaml("inventories/shared/topology.yml")["fleet_memory_share"]
    assert float(JINJA.from_string(shared).render(group_names=groups)) == share
