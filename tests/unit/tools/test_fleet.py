"""The decisions of `make up`, `make status` and similar commands before and after they run other programs."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.support.live.fleet import eventually
from tools.fleet import context
from tools.fleet.context import ROOT, Fleet, FleetError, Host
from tools.fleet.down import prune, refuse_other_clone
from tools.fleet.up import create_hosts, restart_stopped_hosts

OUTPUTS = {
    "inventory": {
        "_meta": {"hostvars": {"db1": {"ansible_host": "10.0.0.41"}, "mon1": {"ansible_host": "10.0.0.61"}}},
        "all": {"children": ["postgres", "etcd"], "vars": {}},
        "postgres": {"hosts": ["db1"]},
        "etcd": {"hosts": ["db1", "mon1"]},
    }
}


def test_the_fleets_default_name_is_its_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLEET", raising=False)
    monkeypatch.setenv("INVENTORY", "single")
    assert Fleet.from_environment().name == "single"
    monkeypatch.setenv("FLEET", "blue")
    assert Fleet.from_environment().name == "blue"


def test_an_inventory_may_be_given_by_its_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FLEET", raising=False)
    monkeypatch.chdir(ROOT)
    for path in ("./inventories/single", "inventories/single/", "single/", f"{ROOT}/inventories/single"):
        monkeypatch.setenv("INVENTORY", path)
        fleet = Fleet.from_environment()
        assert (fleet.name, fleet.inventory, fleet.command("x")) == (
            "single",
            "single",
            "bin/fleet --inventory single x",
        )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/terraform.sh").symlink_to(ROOT / "bin/inventory")
    monkeypatch.setenv("INVENTORY", str(tmp_path / "mine"))
    fleet = Fleet.from_environment()
    assert (fleet.name, fleet.folder) == ("mine", tmp_path / "mine")
    assert fleet.site() == f"ansible-playbook -i {tmp_path}/mine site.yml"


def test_make_takes_a_path_as_the_command_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLEET", raising=False)
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    show = ["--eval", "show: ; @echo $(FLEET)", "show", "INVENTORY=./inventories/single"]
    command = ["make", "--no-print-directory", "--dry-run", *show]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "echo \n"


@pytest.mark.parametrize(
    ("variable", "fix", "value"),
    [
        *(("FLEET", "use 1 to 20 lower-case", name) for name in ("Bad_Name", "1st", "a" * 21, "../x")),
        *(("INVENTORY", "use INVENTORY=sandbox", name) for name in ("aws", str(ROOT / "docs"))),
        ("INVENTORY", "use one of .*sandbox, single", "nowhere"),
    ],
)
def test_an_invalid_variable_is_refused_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, variable: str, fix: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(FleetError, match=rf"{variable}={re.escape(value)} is not .* {fix}"):
        Fleet.from_environment()


def test_prune_reports_that_other_fleets_need_the_image(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Fleet, "engine", lambda *_: subprocess.CompletedProcess([], 0, "another one\n", ""))
    prune(Fleet("blue", "sandbox"))
    assert "This machine has other fleets" in capsys.readouterr().out


def test_fleets_do_not_share_state() -> None:
    sandbox, blue = Fleet("sandbox", "sandbox"), Fleet("blue", "sandbox")
    assert not set(sandbox.state_files) & set(blue.state_files)
    assert sandbox.directory != blue.directory


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty clone."""
    monkeypatch.setattr(context, "ROOT", tmp_path)
    (tmp_path / "terraform/sandbox").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("inventory", ["sandbox", "single", "contract"])
def test_a_copied_inventory_has_the_same_topology(clone: Path, inventory: str) -> None:
    shutil.copytree(ROOT / "inventories" / inventory, clone / "inventories" / "copy", symlinks=True)
    (argument,) = Fleet("copy", "copy").var_files
    single = "single_host = true" in Path(argument.removeprefix("-var-file=")).read_text()
    assert single == (inventory != "sandbox")


def test_the_topology_is_also_found_in_its_old_place(clone: Path) -> None:
    (clone / "terraform/sandbox/old.tfvars").touch()
    assert Fleet("old", "old").var_files == [f"-var-file={clone}/terraform/sandbox/old.tfvars"]


def test_no_host_is_created_without_a_topology(clone: Path) -> None:
    with pytest.raises(FleetError, match=r"copy/sandbox.tfvars is missing; write `single_host = true`"):
        create_hosts(Fleet("copy", "copy"))
    assert not (clone / ".fleets").exists()


def test_ansible_reads_no_hosts_from_the_topology(tmp_path: Path) -> None:
    for name in ("sandbox.tfvars", "requirements.lock"):
        (tmp_path / name).write_text("single_host = true\n")
    (tmp_path / "hosts.yml").write_text("all: {hosts: {db1: {fleet_address: 10.0.0.1}}}")
    command = ["ansible-inventory", "--inventory", str(tmp_path), "--list"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (result.stderr, list(json.loads(result.stdout)["_meta"]["hostvars"])) == ("", ["db1"])


def test_the_command_works_from_another_folder_and_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/__init__.py").write_text("raise SystemExit('not this one')")
    (tmp_path / "fleet").symlink_to(ROOT / "bin/fleet")
    result = subprocess.run(["./fleet", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("usage: bin/fleet [-h] ")


def test_hosts_and_their_groups_come_from_the_inventory() -> None:
    db1, mon1 = Fleet("a", "sandbox").hosts(OUTPUTS)
    assert db1 == Host("db1", "10.0.0.41", frozenset({"postgres", "etcd"}))
    assert mon1.groups == {"etcd"}


def test_the_error_for_a_fleet_without_hosts_names_the_command() -> None:
    with pytest.raises(FleetError, match="run 'make up FLEET=a' first"):
        Fleet("a", "sandbox").hosts({})
    with pytest.raises(FleetError, match="run 'make up INVENTORY=a' first"):
        Fleet("a", "a").hosts({})


def test_an_unreadable_state_is_reported_with_the_error_of_terraform(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "Error: Unsupported state file format")
    monkeypatch.setattr(Fleet, "run", lambda *_, **_options: failed)
    with pytest.raises(FleetError, match=r"FLEET=a: Terraform cannot read the state; .* Unsupported state file format"):
        Fleet("a", "sandbox").outputs()


@pytest.mark.parametrize(
    ("states", "lost", "calls"),
    [
        ({"a-db1": "exited 0"}, ["mon1"], ["container a-db1", "start a-db1", "container a-mon1"]),
        (
            {"a-db1": "running 999999999", "a-mon1": "running 1"},
            [],
            ["container a-db1", "stop a-db1", "start a-db1", "container a-mon1"],
        ),
    ],
    ids=["one stopped, one lost", "one killed by a power cut"],
)
def test_stopped_hosts_are_started_and_lost_ones_recreated(
    monkeypatch: pytest.MonkeyPatch, states: dict[str, str], lost: list[str], calls: list[str]
) -> None:
    called = []

    def engine(_: Fleet, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        container = arguments[-1]
        called.append(f"{action} {container}")
        if container not in states and action == "container":
            return subprocess.CompletedProcess([], 1, "", f"Error: no such container {container}")
        return subprocess.CompletedProcess([], 0, states.get(container, ""), "")

    monkeypatch.setattr(Fleet, "outputs", lambda _: OUTPUTS)
    monkeypatch.setattr(Fleet, "engine", engine)
    replaced = restart_stopped_hosts(Fleet("a", "sandbox"))
    assert replaced == [f'-replace=module.host["{host}"].terraform_data.host' for host in lost]
    assert called == calls


@pytest.mark.parametrize(
    ("owner", "process", "refused"),
    [
        ("other", "systemd", True),
        ("other", "sleep", False),
        ("deleted", "systemd", False),
        (str(ROOT), "systemd", False),
    ],
    ids=["of a clone that uses it", "dead", "of a deleted clone", "of this clone"],
)
def test_a_running_fleet_of_another_clone_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, process: str, refused: bool
) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy("/bin/sleep", tmp_path / process)
    with subprocess.Popen([tmp_path / process, "60"]) as host:
        eventually(lambda: Path(f"/proc/{host.pid}/comm").read_text().strip() == process, within=5, every=0.01)
        result = subprocess.CompletedProcess([], 0, f"{host.pid} {tmp_path / owner}\n", "")
        monkeypatch.setattr(Fleet, "engine", lambda *_: result)
        expected = pytest.raises(FleetError, match=f"FLEET=a runs from the clone {tmp_path / owner}, so nothing was")
        with expected if refused else nullcontext():
            refuse_other_clone(Fleet("a", "sandbox"), ["c1"])
        host.kill()


def test_concurrent_first_runs_agree_on_one_vault_password(tmp_path: Path) -> None:
    # A copy in a tree without a vault, because the script refuses to create a second password for a vault.
    script = shutil.copy(ROOT / "bin" / "vault-password", tmp_path)
    environment = {"FLASKFLEET_VAULT_PASSWORD_FILE": str(tmp_path / "deep" / "password"), "PATH": "/usr/bin:/bin"}

    def read(_: int) -> str:
        return subprocess.run([script], env=environment, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(8) as pool:
        passwords = set(pool.map(read, range(8)))
    assert len(passwords) == 1
    assert len(passwords.pop().strip()) >= 40
    assert (tmp_path / "deep" / "password").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("vault", "password", "message"),
    [
        ("$ANSIBLE_VAULT;1.1;AES256\n6132", None, "password does not exist, but "),
        ("$ANSIBLE_VAULT;1.1;AES256\n6132", "", "password is empty, but "),
        ("vault_a: b\n", None, ""),
        ("vault_a: b\n", "", "password is empty. Remove it"),
    ],
)
def test_a_vault_password_is_asked_for_only_if_a_file_is_encrypted_with_it(
    tmp_path: Path, vault: str, password: str | None, message: str
) -> None:
    (tmp_path / "bin").mkdir()
    script = shutil.copy(ROOT / "bin" / "vault-password", tmp_path / "bin")
    for inventory in ("one", "two"):
        (tmp_path / "inventories" / inventory / "group_vars" / "all").mkdir(parents=True)
        (tmp_path / "inventories" / inventory / "group_vars" / "all" / "vault.yml").write_text(vault)
    if password is not None:
        (tmp_path / "password").write_text(password)
    environment = {"FLASKFLEET_VAULT_PASSWORD_FILE": str(tmp_path / "password"), "PATH": "/usr/bin:/bin"}
    result = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout == "") == ((1, True) if message else (0, False))
    assert message in result.stderr
    assert result.stderr.count("vault.yml") == (2 if "ANSIBLE_VAULT" in vault else 0)


def test_a_subnet_that_this_machine_routes_is_not_free() -> None:
    overlap = ROOT / "terraform" / "modules" / "sandbox_network" / "overlap.py"
    routes = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=False)
    taken = next((line.split()[0] for line in routes.stdout.splitlines() if "/" in line.split()[0]), None)
    if taken is None:
        pytest.skip("this machine has no route to a network")

    def overlap_of(subnet: str) -> str:
        return subprocess.run([sys.executable, overlap, subnet], capture_output=True, text=True, check=True).stdout

    assert taken in overlap_of(taken)
    assert overlap_of("203.0.113.0/24") == ""
