"""Damaged data of one host is copied again from the others."""

import pytest

from tests.support.drills.playbooks import play
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import eventually

# Overwrites a part of the newest file of the log.
DAMAGE = "f=$(ls -t {files} | head -n 1) && dd if=/dev/urandom of=$f bs=1 seek={start} count=400 conv=notrunc"


def test_an_etcd_member_with_a_damaged_log_is_emptied_and_joins_again(runner: DrillRunner) -> None:
    runner.wait_until_redundant(120)
    host = runner.standby
    damage = DAMAGE.format(files="/var/lib/etcd/fleet/member/wal/*.wal", start=600)
    runner.fleet.run(host, f"systemctl kill --signal=KILL etcd && systemctl stop etcd && {damage}")
    refused = play(runner.fleet, "site.yml", "--tags", "etcd", "--limit", host.name)
    assert f"reinit.yml -e reinit_etcd_host={host.name}" in refused.output
    play(runner.fleet, "playbooks/reinit.yml", "-e", f"reinit_etcd_host={host.name}").succeeded()
    runner.wait_until_redundant(120)


@pytest.mark.parametrize("role", ["master", "replica"])
def test_a_store_with_a_damaged_append_only_file_is_copied_again(runner: DrillRunner, role: str) -> None:
    runner.wait_until_redundant(120)
    master = runner.leader("store")
    host = master if role == "master" else next(h for h in runner.fleet.group("redis") if h.name != master.name)
    files = "/var/lib/redis/store/appendonlydir/*.incr.aof"
    # A copy that has just ended begins a new file, which grows with the messages of the workers.
    runner.fleet.run(host, f"until [ $(cat {files} | wc -c) -gt 2000 ]; do sleep 1; done")
    damage = DAMAGE.format(files=files, start=0)  # not within a value, where it would go unnoticed
    runner.fleet.run(host, f"systemctl stop redis@store && {damage}; systemctl start redis@store || true")
    moved = "/var/lib/redis/store/appendonlydir.damaged"
    assert eventually(lambda: not runner.fleet.run(host, f"test -e {moved}", check=False).returncode, within=60)
    runner.fleet.run(host, f"rm -r {moved}")
    runner.wait_until_redundant(120)
