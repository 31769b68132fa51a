"""The container that compiles packages. The engine is simulated."""

from pathlib import Path

import pytest

from tests.unit.tools.release.projects import TARGET
from tools.release import builder, wheels
from tools.release.errors import ReleaseError
from tools.release.target import Target

LINES = ["psycopg2==2.9 --hash=sha256:aa", "broken==1.0 --hash=sha256:bb"]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Simulate an engine that builds the first package. The second one fails."""
    calls: list[str] = []

    def run(*arguments: str, what: str) -> str:
        volume = next(argument for argument in arguments if argument.startswith("--volume="))
        work = Path(volume.removeprefix("--volume=").removesuffix(":/build"))
        assert (work / "0/name").read_text() == "psycopg2", what
        calls.append((work / "0/requirements.txt").read_text())
        (work / "0/repaired").mkdir()
        (work / "0/repaired/psycopg2-2.9-cp313-cp313-manylinux_2_41_x86_64.whl").touch()
        (work / "1/log").write_text("error: subprocess-exited-with-error\nfatal error: broken.h: No such file\n")
        return ""

    monkeypatch.setattr(builder, "engine", run)
    monkeypatch.setattr(builder, "_image", lambda _: "image")
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/podman")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return calls


def test_each_package_gets_its_wheel_or_a_reason(engine: list[str], tmp_path: Path) -> None:
    assert builder.build(LINES, TARGET, tmp_path, None) == {LINES[1]: "fatal error: broken.h: No such file"}
    assert [path.name for path in tmp_path.iterdir()] == ["psycopg2-2.9-cp313-cp313-manylinux_2_41_x86_64.whl"]
    assert len(engine) == 1


def test_packages_from_source_are_taken_from_the_projects_own_index(
    engine: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def pip(command: str, *arguments: str, **_: object) -> None:
        if command == "wheel":
            given.append(Path(arguments[-1].partition("=")[2]).read_text())
        raise ReleaseError("it has compiled code")

    monkeypatch.setattr(wheels, "pip", pip)
    monkeypatch.setattr(wheels, "_named", lambda *_: "refused")
    monkeypatch.setenv("TOKEN", "s3cret")
    index = "--extra-index-url https://kim:${TOKEN}@h/simple"
    with pytest.raises(ReleaseError, match="refused"):
        wheels.build_all(LINES, TARGET, tmp_path, None, [index])
    # pip of this machine knows the variable, and that of the container does not.
    assert given == [f"{index}\n{line}" for line in LINES]
    assert engine == [f"--extra-index-url https://kim:s3cret@h/simple\n{LINES[0]}"]


def test_only_a_machine_of_the_same_type_can_compile(engine: list[str], tmp_path: Path) -> None:
    (reason, _) = builder.build(LINES, Target("3.13", "aarch64"), tmp_path, None).values()
    assert reason == "it has compiled code, which only a machine of type aarch64 can compile"
    assert engine == []


@pytest.mark.usefixtures("engine")
def test_only_what_this_machine_cannot_build_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(*arguments: str, **_: object) -> None:
        if arguments[0] == "download":
            raise ReleaseError("there is no wheel")
        folder = next(Path(a.partition("=")[2]) for a in arguments if a.startswith("--wheel-dir="))
        name = "pure-1.0-py3-none-any.whl" if "--no-binary=pure" in arguments else "x-1.0-cp311-cp311-linux_x86_64.whl"
        (folder / name).touch()

    monkeypatch.setattr(wheels, "pip", pip)
    with pytest.raises(ReleaseError, match=r"broken==1.0 \(fatal error: broken.h"):
        wheels.build_all([*LINES, "pure==1.0 --hash=sha256:cc"], TARGET, tmp_path, None)
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["psycopg2", "pure"]


def test_a_package_that_has_a_compiled_wheel_here_is_not_built_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def pip(command: str, *arguments: str, what: str) -> None:
        calls.append(command)
        folder = next(word.partition("=")[2] for word in arguments if word.startswith("--dest="))
        (Path(folder) / "numpy-2.0.1-cp311-cp311-manylinux_2_17_x86_64.whl").write_bytes(what.encode())

    monkeypatch.setattr(wheels, "pip", pip)
    monkeypatch.setattr(builder, "build", lambda lines, *_: calls.extend(lines))
    wheels.build_all(["numpy==2.0.1 --hash=sha256:aa"], TARGET, tmp_path, None)
    assert calls == ["download", "numpy==2.0.1 --hash=sha256:aa"]
