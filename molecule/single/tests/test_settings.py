"""Settings and secrets of the application, changed by `bin/fleet`. With one host, a deploy has nothing to watch."""

from pathlib import Path

from tests.support.live.commands import Command


def test_settings_and_secrets_are_live_after_a_deploy(settings: Path, command: Command) -> None:
    values = {"COMMANDS_TEXT": 'a "b" {{ c }}', "COMMANDS_SECRET": "s3cret $x"}
    printenv = ["exec", "--", "printenv", *values]
    try:
        assert command("env", "set", f"COMMANDS_TEXT={values['COMMANDS_TEXT']}").returncode == 0
        assert command("secret", "set", "COMMANDS_SECRET", given=f"{values['COMMANDS_SECRET']}\n").returncode == 0
        assert command("secret", "get", "COMMANDS_SECRET").stdout == f"{values['COMMANDS_SECRET']}\n"
        listed = command("env", "list").stdout
        assert "COMMANDS_SECRET=(secret)" in listed
        assert values["COMMANDS_SECRET"] not in listed + (settings / "environment.yml").read_text()
        assert command(*printenv).stdout == ""
        deploy = command("deploy")
        assert deploy.returncode == 0, deploy.stdout[-3000:]
        assert values["COMMANDS_SECRET"] not in deploy.stdout
        assert command(*printenv).stdout.splitlines() == [*values.values()]
    finally:
        command("env", "unset", "COMMANDS_TEXT")
        command("secret", "unset", "COMMANDS_SECRET")
        assert command("deploy").returncode == 0
    assert command(*printenv).stdout == ""
    assert "COMMANDS_SECRET" not in command("secret", "list").stdout
