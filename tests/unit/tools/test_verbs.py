"""The verbs of `bin/fleet`, with hosts that are folders."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.verb_fleet import VerbFleet
from tools.fleet.__main__ import PROGRAM, VERBS
from tools.fleet.context import ROOT, Fleet, FleetError
from tools.fleet.verbs import completion, playbooks
from tools.fleet.verbs.verb import parser_of


@pytest.fixture
def fleet(tmp_path: Path) -> VerbFleet:
    return VerbFleet(tmp_path)


def test_commands_run_as_the_application_and_keep_their_words_and_exit_code(fleet: VerbFleet) -> None:
    result = fleet.run("exec", "--", "flask", "it's", "$HOME", "two words", "--json", CODE="7")
    assert (result.returncode, result.stderr) == (7, "")
    assert fleet.calls() == ["10.0.0.21 news <flask> <it's> <$HOME> <two words> <--json>"]
    fleet.run("console")
    assert fleet.calls() == ["10.0.0.21 news <flask> <--app> <app:create_app()> <shell>"]


def test_a_process_runs_once_with_its_own_environment(tmp_path: Path) -> None:
    release = {"app_release_command": 'echo "$DATABASE_URL"', "app_database_migration_url": 'owner:"$p`\\@db'}
    fleet = VerbFleet(tmp_path, **release)
    (tmp_path / "fakes/news").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "fakes/python").write_text('#!/bin/sh\nprintf "<%s>" "$TOKEN" "$@"\n')
    (tmp_path / "fakes/python").chmod(0o755)
    assert fleet.run("run", "mailer", "--", "one two").stdout == "<><-m><shop.mailer><--fast><one two>"
    (tmp_path / "opt-news/current/units").mkdir(parents=True)
    (tmp_path / "opt-news/current/units/mailer.env").write_text('TOKEN="a \\"b\\" \\$c"\n')
    assert fleet.run("run", "mailer").stdout == '<a "b" $c><-m><shop.mailer><--fast>'
    assert fleet.run("run").stdout == 'mailer: python -m shop.mailer --fast\nrelease: echo "$DATABASE_URL"\n'
    assert fleet.run("run", "release").stdout == 'owner:"$p`\\@db\n'
    assert list(fleet.root.glob("run-*")) == []


def test_sudo_gets_the_password_of_the_inventory_and_the_command_its_standard_input(tmp_path: Path) -> None:
    fleet = VerbFleet(tmp_path, ansible_become_password="hunter2")
    (tmp_path / "fakes/id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "fakes/id").chmod(0o755)
    (tmp_path / "fakes/news").write_text("#!/bin/sh\ncat\n")
    result = fleet.run("exec", "--", "cat", given="first\nsecond\n", PASSWORD="hunter2")
    assert (result.returncode, result.stdout, result.stderr) == (0, "first\nsecond\n", "")
    assert fleet.run("exec", "--", "cat", PASSWORD="other").returncode == 1


def test_database_clients_run_on_the_host_that_leads(fleet: VerbFleet) -> None:
    fleet.run("psql", "--", "-c", "select 'a b'")
    fleet.run("psql", "--replica", "--superuser")
    owner = "<-u> <postgres> <--> <env> <PGOPTIONS=-c role=news_owner> <psql> <news>"
    assert fleet.calls() == [
        f"10.0.0.41 runuser {owner} <-c> <select 'a b'>",
        "10.0.0.42 runuser <-u> <postgres> <--> <env> <psql> <news>",
    ]
    (fleet.root / "fakes/redis-cli").write_text('#!/bin/sh\necho "$HOST $REDISCLI_AUTH $*"\n')
    assert fleet.run("redis").stdout == "10.0.0.51 s3cret --user admin -p 6380\n"
    assert fleet.run("redis", "cache", "--replica", "--", "GET", "a b").stdout.startswith("10.0.0.52 s3cret --user")
    assert list(fleet.root.glob("run-*")) == []


def test_variables_of_the_application_are_kept_in_a_file_of_the_inventory(fleet: VerbFleet) -> None:
    file = fleet.folder / "group_vars/all/environment.yml"
    assert fleet.run("env", "list").stdout == "DSN=(secret)\nHEADING=Hello\n"
    done = fleet.run("env", "set", 'HEADING=a "b" ü', "TEMPLATE={{ not evaluated }}", "EMPTY=").stdout
    assert done == (
        f"HEADING, TEMPLATE, EMPTY were set in {file}. Commit this file.\n"
        f"The application sees it after the next `bin/fleet --inventory {fleet.folder} deploy`.\n"
    )
    assert "Nothing was changed" in fleet.run("env", "set", "EMPTY=").stdout
    assert "bin/fleet deploy" in file.read_text()
    assert fleet.run("env", "list").stdout == ('DSN=(secret)\nEMPTY=\nHEADING=a "b" ü\nTEMPLATE={{ not evaluated }}\n')
    assert "HEADING, EMPTY, TEMPLATE were removed" in fleet.run("env", "unset", "HEADING", "EMPTY", "TEMPLATE").stdout
    assert fleet.run("env", "list", "--json").stdout == '{\n  "DSN": "(secret)",\n  "HEADING": "Hello"\n}\n'
    for arguments, error in {
        ("set", "1=2"): "'1=2' is not NAME=VALUE",
        ("unset", "HEADING"): "HEADING is not in ",
        ("set", "API_TOKEN=x"): "bin/fleet secret set API_TOKEN",
    }.items():
        assert error in fleet.run("env", *arguments).stderr
    file.write_text("---\nmine: 1\n")
    assert "move your own lines to another file" in fleet.run("env", "set", "A=b").stderr


def test_secrets_come_from_a_prompt_a_pipe_or_a_command(fleet: VerbFleet) -> None:
    value = 'a: "#b" \\ ü %'
    done = fleet.run("secret", "set", "STRIPE_KEY", given=f"{value}\n").stdout
    deploy, site = f"bin/fleet --inventory {fleet.folder} deploy", f"ansible-playbook -i {fleet.folder} site.yml"
    assert f"STRIPE_KEY was encrypted and stored in {fleet.vault} and environment.yml.\n" in done
    assert f"The application gets it with the next `{deploy}`.\n" in done
    assert "Nothing was changed" in fleet.run("secret", "set", "STRIPE_KEY", given=f"{value}\n").stdout
    assert fleet.run("secret", "get", "STRIPE_KEY").stdout == f"{value}\n"
    done = fleet.run("secret", "set", "grafana_admin_password", "--from-command", "printf 'a\\nb'").stdout
    assert f"It is the inventory's vault_grafana_admin_password, which the next `{site}` uses.\n" in done
    wanted = {"redis_admin_password": "s3cret", "sentry_key": "sk3y", "STRIPE_KEY": value}
    assert fleet.secrets() == {f"vault_{name}": one for name, one in wanted.items()} | {
        "vault_grafana_admin_password": "a\nb"
    }
    assert "STRIPE_KEY=(secret)" in fleet.run("env", "list").stdout
    assert value not in (fleet.folder / "group_vars/all/environment.yml").read_text()
    assert fleet.vault.stat().st_mode & 0o077 == 0
    assert f"The application loses it with the next `{deploy}`." in fleet.run("secret", "unset", "STRIPE_KEY").stdout
    assert fleet.run("secret", "list").stdout == "grafana_admin_password\nredis_admin_password\nsentry_key\n"
    assert "STRIPE_KEY" not in fleet.run("env", "list").stdout
    before = fleet.vault.read_bytes()
    for arguments, given, error in (
        (["X"], "", "is empty; nothing changed"),
        (["X"], "{{ x }}", "which Ansible cannot keep as it is"),
        (["a-b"], "x", "use letters, digits and underscores"),
        (["X", "--from-command", "false"], "", "'false' failed with exit code 1; nothing changed"),
    ):
        result = fleet.run("secret", "set", *arguments, given=given)
        assert (result.returncode, error in result.stderr) == (1, True), result.stderr
    assert fleet.vault.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["exec"], 2, "exec needs a command: bin/fleet exec -- COMMAND"),
        (["status", "--", "x"], 2, "status takes no words after --"),
        (["exec", "--host", "db1", "--", "true"], 1, "--host db1 is not in the group app; use one of app1."),
        (["run", "none"], 1, "NAME=none is not a process of the application; use one of mailer, or `bin/fleet exec --"),
        (
            ["logs", "none"],
            1,
            "PROCESS=none is not a process of the application; use one of web, worker, beat, mailer, nginx",
        ),
        (["logs", "--since", "lunch"], 1, "--since lunch is not a time; use 90s"),
        (["logs", "--request", "a b"], 1, "it is the answer's header X-Request-Id"),
        (["maintenance", "off", "--message", "x"], 1, "takes neither --message nor --retry-after"),
        (["restore"], 1, "restore needs one of TIME, --remove and --dump TABLE"),
        (["restore", "2026-11-29 03:00:00+00", "--remove"], 1, "restore needs one of TIME"),
        (["restore", "2026-11-29 03:00:00+00", "--confirm", "shop"], 1, "--confirm belongs to --in-place"),
        (["restore", "--dump", "article", "--in-place"], 1, "--dump reads the side restore"),
        (["restore", "--dump", "article"], 1, "None of db1, db2 shows restored data."),
        (["psql", "--beside", "--replica"], 1, "exclude each other"),
        (["--inventory", "nowhere", "status"], 1, "INVENTORY=nowhere is not a folder in inventories/"),
    ],
)
def test_wrong_use_is_refused_with_the_fix(fleet: VerbFleet, arguments: list[str], code: int, error: str) -> None:
    result = fleet.run(*arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert error in result.stderr


def test_restored_data_are_found_on_their_host(fleet: VerbFleet) -> None:
    beside = fleet.root / "run-postgres-beside"
    beside.mkdir()
    for name in (".s.PGSQL.5434", ".s.PGSQL.5434.lock"):
        (beside / name).touch()
    fleet.run("psql", "--beside", "--", "-c", "select 1")
    fleet.run("restore", "--dump", "article", "--", "--data-only")
    owner = "10.0.0.41 runuser <-u> <postgres> <--> <env> <PGOPTIONS=-c role=news_owner>"
    place = f"<--host={fleet.root}/fakes/../run-postgres-beside> <--port=5434>"
    assert fleet.calls() == [
        f"{owner} <psql> {place} <news> <-c> <select 1>",
        f"{owner} <pg_dump> {place} <--table=article> <--data-only> <news>",
    ]


def test_no_leader_is_reported_with_the_next_step(fleet: VerbFleet) -> None:
    for address in ("10.0.0.41", "10.0.0.42"):
        (fleet.root / address).write_text("")
    assert "postgres is led by no host; `bin/fleet status` shows the next step." in fleet.run("psql").stderr


def test_playbooks_do_the_work_of_deploys(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    class Process(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            calls.append(command)
            super().__init__(["sh", "-c", "exit 4"], **options)

    monkeypatch.setattr(subprocess, "Popen", Process)
    shop = Fleet("shop", "shop", dict(os.environ))
    assert playbooks.deploy(shop, allow_contract=True, take_over=False, words=["--check"]) == 1
    playbooks.rollback(shop, "r1", take_over=False)
    playbooks.maintenance(shop, "on", "Soon", 60)
    beside: dict[str, Any] = {"in_place": False, "confirm": "", "remove": False, "dump": "", "words": []}
    playbooks.restore(shop, "2026-11-29 03:00:00+00", "db2", **beside | {"words": ["--check"]})
    playbooks.restore(shop, "2026-11-29 03:00Z", "", **beside | {"in_place": True, "confirm": "shop"})
    playbooks.restore(shop, "", "", **beside | {"remove": True})
    begin = ["ansible-playbook", "-i", f"{ROOT}/inventories/shop"]
    assert calls == [
        [*begin, "playbooks/deploy.yml", "--extra-vars", '{"deploy_allow_contract": true}', "--check"],
        [*begin, "playbooks/rollback.yml", "--extra-vars", '{"rollback_to": "r1"}'],
        [
            *(*begin, "playbooks/maintenance.yml", "--extra-vars"),
            '{"maintenance": "on", "nginx_maintenance_message": "Soon", "nginx_maintenance_retry_after": 60}',
        ],
        [
            *(*begin, "playbooks/restore.yml", "--extra-vars"),
            '{"restore_to": "2026-11-29 03:00:00+00", "restore_host": "db2"}',
            "--check",
        ],
        [
            *(*begin, "playbooks/restore.yml", "--extra-vars"),
            '{"restore_to": "2026-11-29 03:00Z", "restore_in_place": true, "restore_confirm": "shop"}',
        ],
        [*begin, "playbooks/restore.yml", "--extra-vars", '{"restore_remove": true}'],
    ]


def test_releases_are_read_from_the_playbook(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results: dict[str, dict[str, Any]] = {
        "app : Read the host's releases": {"app1": {"current": "r2", "installed": ["r1", "r2"], "services": {}}},
        "deploy : Read the log": {"app1": {"log": [{"release": "r2"}], "lock": {}}, "app2": {"unreachable": True}},
        "deploy : Show the hosts and the log": {"app1": {"msg": ["app1 runs r2", "the log"]}},
    }
    results["deploy : Read the log"]["app2"]["msg"] = "timed out"
    tasks = [{"task": {"name": name}, "hosts": hosts} for name, hosts in results.items()]
    printed = f"a warning\n{json.dumps({'plays': [{'tasks': tasks}]})}\n\nPlaybook run took 1 second\n"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 4, printed, ""))
    shop = Fleet("shop", "shop", {})
    playbooks.releases(shop, as_json=False)
    assert capsys.readouterr() == ("app1 runs r2\nthe log\n", "app2 is left out: timed out\n")
    playbooks.releases(shop, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "hosts": {"app1": {"current": "r2", "installed": ["r1", "r2"], "services": {}}},
        "log": [{"release": "r2"}],
        "lock": {},
    }
    printed = json.dumps({"plays": [{"tasks": tasks[:1]}]})
    with pytest.raises(FleetError, match="The log of deploys cannot be read"):
        playbooks.releases(shop, as_json=False)


def test_bash_completes_verbs_options_and_inventories() -> None:
    script = completion.script(parser_of(VERBS, PROGRAM, ""))

    def complete(*words: str) -> list[str]:
        line = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _fleet x '{words[-1]}'"
        command = ["bash", "-c", f"{script}\n{line}; echo ${{COMPREPLY[*]}}"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

    assert complete("bin/fleet", "ex") == ["exec"]
    assert complete("bin/fleet", "env", "s") == ["set"]
    assert complete("bin/fleet", "redis", "c") == ["cache"]
    assert complete("bin/fleet", "logs", "web", "--sin") == ["--since"]
    assert complete("bin/fleet", "--inventory", "sing") == ["single"]
    assert complete("bin/fleet", "exec", "--", "--h") == []


def test_examples_fit_every_application() -> None:
    words = {name: set(re.findall(r"\w+", verb.example)) for name, verb in VERBS.items()}
    assert {name: found for name in words if (found := words[name] & {"app", "article", "news", "release"})} == {}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parser_of(VERBS, PROGRAM, "").parse_args([verb, "--help"])
    printed = capsys.readouterr().out
    assert end.value.code == 0
    assert VERBS[verb].help in printed.replace("\n", " ").lower() or VERBS[verb].help[1:] in printed.replace("\n", " ")


def test_a_variable_may_depend_on_other_hosts(tmp_path: Path) -> None:
    fleet = VerbFleet(tmp_path, app_environment={"PEERS": "{{ hostvars[groups['app'][0]].fleet_address }}"})
    assert fleet.run("env", "list").stdout == "PEERS=10.0.0.21\n"
