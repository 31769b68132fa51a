"""The release bundle: its id, its content, and errors."""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.tools.release.projects import LOCK, TARGET, digest, unpacked
from tools.release import __main__ as command_line
from tools.release import build as building
from tools.release import bundle, identity, wheels
from tools.release.build import build
from tools.release.errors import ReleaseError
from tools.release.requirements import locked
from tools.release.source import Source
from tools.release.target import Target


def test_an_unchanged_tree_keeps_its_hash(source: Source) -> None:
    before = digest(source)
    (source.root / "shop" / "__pycache__").mkdir()
    (source.root / "shop" / "__pycache__" / "x.cpython-313.pyc").write_bytes(b"x")
    (source.root / "README.md").write_text("not part of the release")
    (source.root / "shop" / "__init__.py").touch()
    assert digest(source) == before


@pytest.mark.parametrize("path", ["shop/__init__.py", "shop/new.html", "pyproject.toml"])
def test_a_changed_file_makes_another_release(source: Source, path: str) -> None:
    before = digest(source)
    with (source.root / path).open("a") as file:
        file.write("\n# changed\n")
    assert digest(source) != before


def test_another_target_or_installer_makes_another_release(source: Source) -> None:
    ids = {digest(source, target) for target in (TARGET, Target("3.12", "x86_64"), Target("3.13", "aarch64"))}
    source.tools.write_text(source.tools.read_text().replace("0.13.9", "0.14.0"))
    assert len(ids | {digest(source)}) == 4


def test_other_tools_of_the_control_node_do_not_change_the_release(source: Source) -> None:
    before = digest(source)
    source.tools.write_text(source.tools.read_text().replace("12.3.0", "12.4.0"))
    assert digest(source) == before


def test_requirements_are_evaluated_for_the_target(source: Source) -> None:
    assert locked(source.root / source.requirements, TARGET) == [
        "flask==3.1.3 --hash=sha256:aaaa --hash=sha256:bbbb",
        "gunicorn==27.0.1 --hash=sha256:abcd",
        "pycparser==3.12 --hash=sha256:eeee",
    ]
    assert len(locked(source.root / source.requirements, Target("3.10", "x86_64"))) == 4


def test_wheels_for_a_newer_c_library_are_not_used() -> None:
    platforms = TARGET.platforms()
    assert "manylinux_2_41_x86_64" in platforms
    assert "manylinux2014_x86_64" in platforms
    assert "manylinux_2_42_x86_64" not in platforms


@pytest.mark.usefixtures("wheelhouse")
def test_two_bundles_have_locked_hashes_for_everything_that_a_host_needs(source: Source, tmp_path: Path) -> None:
    result = build(source, TARGET, tmp_path / "cache")
    assert (result["built"], result["package"]) == (True, "shop")
    own, others = unpacked(result["path"]), unpacked(result["dependencies"]["path"])
    tree = {"source/pyproject.toml", "source/shop/__init__.py"}
    meta = {"manifest.json", "release.env", "requirements.txt"}
    assert set(own) == tree | meta | {"wheels/shop-1.0-py3-none-any.whl"}
    assert (Path(result["tree"]) / "shop/__init__.py").read_text() == "def create_app(): ...\n"
    assert others == {"uv": (0o755, b"the installer"), "wheels/flask-3.1.3-py3-none-any.whl": (0o644, b"flask")}
    assert own["release.env"][1] == f"APP_RELEASE={result['id']}\n".encode()
    locked = {line.partition(" --hash=sha256:")[::2] for line in own["requirements.txt"][1].decode().splitlines()}
    contents = {"shop==1.0": own["wheels/shop-1.0-py3-none-any.whl"][1], "flask==3.1.3": b"flask"}
    assert locked == {(name, hashlib.sha256(content).hexdigest()) for name, content in contents.items()}
    manifest = json.loads(own["manifest.json"][1])
    assert (manifest["id"], manifest["python"], manifest["machine"]) == (result["id"], "3.13", "x86_64")


def test_dependencies_are_bundled_once_for_a_lock_file(source: Source, fast_build: list[Path], tmp_path: Path) -> None:
    before = build(source, TARGET, tmp_path / "cache")
    (source.root / "shop" / "new.py").write_text("")
    after = build(source, TARGET, tmp_path / "cache")
    assert after["id"] != before["id"]
    assert after["dependencies"] == before["dependencies"]
    assert len(fast_build) == 2
    (source.root / "app.txt").write_text(LOCK.replace("aaaa", "9999"))
    assert build(source, TARGET, tmp_path / "cache")["dependencies"] != before["dependencies"]


@pytest.mark.usefixtures("wheelhouse")
def test_a_release_is_built_once_and_two_builds_give_the_same_bytes(source: Source, tmp_path: Path) -> None:
    first = build(source, TARGET, tmp_path / "cache")
    again = build(source, TARGET, tmp_path / "cache")
    elsewhere = build(source, TARGET, tmp_path / "other", known=["20260101-000000-abcdef0-000000000000", first["id"]])
    assert (first["built"], again["built"], elsewhere["built"]) == (True, False, True)
    assert first["sha256"] == again["sha256"] == elsewhere["sha256"]


@pytest.mark.usefixtures("fast_build")
def test_a_release_is_built_again_if_its_wheels_were(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that exists only as source, such as psycopg2, gives another file each time that it is built."""
    first = build(source, TARGET, tmp_path / "cache")
    (wheel,) = (tmp_path / "cache/wheels").glob("*/wheels/*.whl")
    shutil.rmtree(wheel.parents[1])  # newer ones of other projects have replaced it
    fetch = wheels.fetch

    def other(lines: list[str], target: Target, into: Path, python: Path | None = None) -> None:
        fetch(lines, target, into, python)
        for file in into.glob("flask-*.whl"):
            file.write_bytes(b"built again")

    monkeypatch.setattr(wheels, "fetch", other)
    assert bundle.find(tmp_path / "cache", first["id"]) is None
    second = build(source, TARGET, tmp_path / "cache", serving=first["id"])
    assert (second["id"], second["built"]) == (first["id"], True)
    assert bundle.pin(wheel) in unpacked(second["path"])["requirements.txt"][1].decode()
    assert not build(source, TARGET, tmp_path / "cache")["built"]
    # Beside a release of other wheels.
    wheel.write_bytes(b"another file")
    assert bundle.find(tmp_path / "cache", first["id"]) is None


@pytest.mark.usefixtures("fast_build")
def test_a_known_release_keeps_its_id_and_a_new_id_has_time_commit_and_hash(source: Source, tmp_path: Path) -> None:
    hashed = digest(source)[:12]
    commit = "git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm first"
    subprocess.run(commit, shell=True, cwd=source.root, check=True)
    source = replace(source, commit=identity.commit(source.root))
    first = build(source, TARGET, tmp_path / "cache")["id"]
    assert re.fullmatch(rf"20\d{{6}}-\d{{6}}-[0-9a-f]{{7}}-{hashed}", first)
    known = f"20260101-000000-abcdef0-{hashed}"
    assert build(source, TARGET, tmp_path / "cache", known=[known])["id"] == known
    assert build(source, TARGET, tmp_path / "cache")["id"] == first
    (source.root / "notes.txt").touch()
    assert identity.commit(source.root).endswith("+")


@pytest.mark.usefixtures("fast_build")
def test_the_serving_release_is_found_again_after_the_tree_has_changed(source: Source, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    before = build(source, TARGET, cache)
    (source.root / "shop" / "new.py").write_text("")
    assert build(source, TARGET, cache, serving=before["id"]) == before | {"built": False}
    assert build(source, TARGET, cache, serving="of-another-machine")["id"] != before["id"]
    Path(before["dependencies"]["path"]).unlink()
    assert build(source, TARGET, cache, serving=before["id"])["id"] != before["id"]


@pytest.mark.usefixtures("fast_build")
def test_a_dry_run_names_the_release_and_builds_nothing(source: Source, tmp_path: Path) -> None:
    result = build(source, TARGET, tmp_path / "cache", dry_run=True)
    assert result["id"].endswith(digest(source)[:12])
    assert result["built"] is True
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("wheelhouse")
def test_a_failed_build_leaves_no_bundle(source: Source, tmp_path: Path) -> None:
    with (source.root / "pyproject.toml").open("a") as file:
        file.write('[project.optional-dependencies]\nbroken = ["=="]\n')
    with pytest.raises(ReleaseError, match=r"cannot build the application in .*project"):
        build(source, TARGET, tmp_path / "cache")
    assert list((tmp_path / "cache" / "releases").glob("*.tar.gz")) == []
    assert build(source, TARGET, tmp_path / "cache", dry_run=True)["built"] is True


@pytest.mark.usefixtures("fast_build")
def test_only_the_newest_bundles_are_kept(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "KEPT_BUNDLES", 2)
    ids = []
    for number in range(3):
        (source.root / "shop" / "version.py").write_text(f"{number}")
        ids.append(build(source, TARGET, tmp_path / "cache")["id"])
    kept = {path.name.removesuffix(".tar.gz") for path in (tmp_path / "cache" / "releases").glob("*.tar.gz")}
    assert kept == set(ids[1:])


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("pyproject.toml", "[project", "pyproject.toml is not valid TOML: "),
        ("pyproject.toml", "[project]\nrequires-python = '<3.13'\n", "app_python=3.13 does not fit requires-python"),
        ("shop/__init__.py", None, "shop is part of the release but does not exist"),
        ("app.txt", None, "app_requirements=app.txt is not a file in app_source="),
        ("control.txt", "ansible==12.3.0 --hash=sha256:00\n", "does not lock uv"),
    ],
)
def test_a_release_that_cannot_be_built_is_refused_in_one_sentence(
    source: Source, tmp_path: Path, path: str, content: str | None, message: str
) -> None:
    file = source.root / path
    file.unlink()
    if content is None and file.parent != source.root:
        file.parent.rmdir()
    if content is not None:
        file.write_text(content)
    with pytest.raises(ReleaseError, match=message) as caught:
        build(source, TARGET, tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_the_command_prints_json_and_errors_without_a_traceback(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"--source={source.root}", "--requirements=app.txt", f"--cache={tmp_path}"]
    arguments = ["build", *paths, "--dry-run"]
    assert command_line.main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["built"] is True
    assert command_line.main([*arguments, "--path=missing"]) == 1
    assert capsys.readouterr().err == (
        f"missing is part of the release but does not exist in app_source={source.root}; correct app_release_paths\n"
    )


@pytest.mark.usefixtures("wheelhouse")
def test_a_backend_that_lacks_something_here_is_built_apart(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def pip(*arguments: str, what: str) -> str:
        calls.append("--no-build-isolation" in arguments)
        if calls[-1]:
            raise ReleaseError(f"cannot {what}: invalid command 'bdist_wheel'")
        folder = next(word.partition("=")[2] for word in arguments if word.startswith("--wheel-dir="))
        (Path(folder) / "shop-1.0-py3-none-any.whl").write_bytes(b"shop")
        return ""

    monkeypatch.setattr(building, "pip", pip)
    assert build(source, TARGET, tmp_path / "cache")["built"]
    assert calls == [True, False]
