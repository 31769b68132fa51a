"""The interpreter that a release contains. uv, the engine and so the network are simulated."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.unit.tools.release.projects import TARGET, unpacked
from tools.release import builder, interpreter
from tools.release.errors import ReleaseError
from tools.release.target import Target

OLD = Target("3.11", "x86_64")
UV = "cpython-3.11.14-linux-x86_64-gnu"
DEBIAN = "debian-3.11.2-6-deb12u9-x86_64"
CAUSE = "error sending request for url (https://example.org/python.tar.gz)"
OUTPUT = f"error: Failed to install {UV}\n  cause: Request failed after 3 retries in 7.8s\n  cause: {CAUSE}\n"


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Simulate uv. It fetches an interpreter if its host is among those that can be reached."""
    hosts: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if "list" in command:
            key = UV.replace("3.11.14", "3.12.1") if "cpython-3.12-linux-x86_64-gnu" in command else UV
            return subprocess.CompletedProcess(command, 0, json.dumps([{"key": key}]), "")
        if "install" not in command:
            return subprocess.CompletedProcess(command, 0, "", "")
        if "example.org" not in hosts:
            return subprocess.CompletedProcess(command, 2, "", OUTPUT)
        folder = next(Path(part.partition("=")[2]) for part in command if part.startswith("--install-dir="))
        (folder / UV / "bin").mkdir(parents=True)
        (folder / UV / "bin" / "python3").write_text("uv's")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return hosts


def packages(usr: Path) -> None:
    """Write files like those of Debian's packages."""
    names = {
        "bin/python3.11": "the program",
        "include/python3.11/Python.h": "",
        "include/python3.11/pyconfig.h": "#include <x86_64-linux-gnu/python3.11/pyconfig.h>",
        "include/x86_64-linux-gnu/python3.11/pyconfig.h": "of the machine",
        "lib/python3.11/os.py": "",
        "lib/python3.11/EXTERNALLY-MANAGED": "",
        "lib/python3.11/config-3.11-x86_64-linux-gnu/libpython3.11.a": "",
        "lib/python3.11/lib-dynload/nis.cpython-311-x86_64-linux-gnu.so": "",
        "lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so": "",
        "lib/python3.11/_sysconfigdata__x86_64-linux-gnu.py": (
            "build_time_vars = {'INCLUDEPY': '/usr/include/python3.11', 'prefix': '/usr', 'CC': 'gcc'}\n"
        ),
    }
    for name, content in names.items():
        (usr / name).parent.mkdir(parents=True, exist_ok=True)
        (usr / name).write_text(content)
    (usr / "bin/python3.11").chmod(0o755)
    (usr / "lib/python3.11/sitecustomize.py").symlink_to("/etc/python3.11/sitecustomize.py")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Simulate the container in which apt fetches Debian's packages."""
    calls: list[str] = []
    packages(tmp_path / "usr")

    def run(*arguments: str, what: str) -> str:
        calls.append(what)
        assert "--env=PYTHON=python3.11" in arguments
        assert "--env=SUITE=bookworm" in arguments
        volume = next(argument for argument in arguments if argument.startswith("--volume="))
        work = Path(volume.removeprefix("--volume=").removesuffix(":/build"))
        (work / "version").write_text("3.11.2-6+deb12u9\n")
        with tarfile.open(work / "usr.tar", "w") as tar:
            for name in ("bin", "include", "lib/python3.11"):
                tar.add(tmp_path / "usr" / name, name)
        return ""

    monkeypatch.setattr(builder, "engine", run)
    monkeypatch.setattr(builder, "host_image", lambda: "image")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return calls


def bundled(cache: Path, name: str) -> dict[str, tuple[int, bytes]]:
    """Return the files of an interpreter in the cache, without the folder of its name."""
    files = unpacked(str(cache / "pythons" / f"{name}.tar.gz"))
    assert all(file.startswith(f"{name}/") for file in files)
    return {file.removeprefix(f"{name}/"): content for file, content in files.items()}


def test_the_hosts_own_python_needs_no_interpreter(tmp_path: Path) -> None:
    assert interpreter.fetch(tmp_path, TARGET) == ("", [])


def test_an_interpreter_of_uv_is_fetched_once(engine: list[str], reached: list[str], tmp_path: Path) -> None:
    reached.append("example.org")
    assert interpreter.find(tmp_path, OLD) == UV
    assert interpreter.fetch(tmp_path, OLD) == (UV, [])
    assert bundled(tmp_path, UV)["bin/python3"][1] == b"uv's"
    reached.clear()
    assert interpreter.fetch(tmp_path, OLD) == (UV, [])
    assert engine == []


def test_where_uv_can_fetch_none_it_is_debians_fetched_once(
    engine: list[str], reached: list[str], tmp_path: Path
) -> None:
    note = f"app_python=3.11: Debian 12's interpreter, because uv cannot fetch the interpreter {UV}: {CAUSE}."
    assert interpreter.fetch(tmp_path, OLD) == (DEBIAN, [note])
    reached.append("example.org")
    assert interpreter.fetch(tmp_path, OLD) == (DEBIAN, [])
    assert interpreter.find(tmp_path, OLD) == DEBIAN
    assert interpreter.find(tmp_path, Target("3.11", "aarch64")) == UV
    assert len(engine) == 1


@pytest.mark.usefixtures("engine", "reached")
def test_debians_interpreter_runs_in_any_folder(tmp_path: Path) -> None:
    name, _ = interpreter.fetch(tmp_path, OLD)
    files = bundled(tmp_path, name)
    settings = "lib/python3.11/_sysconfigdata__x86_64-linux-gnu.py"
    assert set(files) == {
        *("bin/python3", "bin/python3.11", "lib/python3.11/os.py", settings),
        *("include/python3.11/Python.h", "include/python3.11/pyconfig.h"),
        "lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so",
    }
    assert files["bin/python3.11"][0] == 0o755
    assert files["include/python3.11/pyconfig.h"][1] == b"of the machine"
    with tarfile.open(tmp_path / "pythons" / f"{name}.tar.gz") as tar:
        assert tar.getmember(f"{name}/bin/python3").linkname == "python3.11"
    variables: dict[str, dict[str, str]] = {}
    exec(files[settings][1], variables)
    assert variables["build_time_vars"] | {"CC": ""} == {
        **dict.fromkeys(("prefix", "exec_prefix"), sys.base_prefix),
        **dict.fromkeys(("INCLUDEPY", "CONFINCLUDEPY"), f"{sys.base_prefix}/include/python3.11"),
        "CC": "",
    }


@pytest.mark.usefixtures("engine", "reached")
def test_an_interpreter_that_neither_has_names_what_was_tried_and_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError) as caught:
        interpreter.fetch(tmp_path, Target("3.12", "x86_64"))
    assert str(caught.value) == (
        f"app_python=3.12 is not available: uv cannot fetch the interpreter {UV.replace('3.11.14', '3.12.1')}: "
        f"{CAUSE}, and no older release of Debian that the hosts can use has it; allow the control node to reach that "
        "address, name a mirror in UV_PYTHON_INSTALL_MIRROR, "
        'or use app_python = "3.13" (the hosts\' own) or "3.11" (Debian 12\'s)'
    )


@pytest.mark.usefixtures("reached")
def test_without_an_engine_the_error_names_both_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE", "no-engine")
    with pytest.raises(ReleaseError, match=rf"{UV}: error sending .*, and cannot .*Debian 12: no-engine is not inst"):
        interpreter.fetch(tmp_path, OLD)
