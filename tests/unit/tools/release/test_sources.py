"""Projects as they are: flat ones, without hashes, with a build command, and packages without a wheel."""

import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.tools.release.projects import TARGET, unpacked
from tools.release.build import build
from tools.release.errors import ReleaseError, cause, masked
from tools.release.requirements import from_pylock
from tools.release.source import Source, refuse_other_python


@pytest.mark.usefixtures("wheelhouse", "compiled")
def test_a_project_without_pyproject_is_shipped_as_a_tree(flat: Source, tmp_path: Path) -> None:
    result = build(flat, TARGET, tmp_path / "cache")
    members = unpacked(result["path"])
    tree = {name.removeprefix("source/"): mode for name, (mode, _) in members.items() if name.startswith("source/")}
    assert tree == {"app.py": 0o644, "requirements.txt": 0o644, "run.sh": 0o755, "templates/page.html": 0o644}
    assert (result["package"], [name for name in members if name.startswith("wheels/")]) == ("", [])


@pytest.mark.usefixtures("wheelhouse")
def test_what_has_no_hashes_is_locked_once(flat: Source, compiled: list[str], tmp_path: Path) -> None:
    (note,) = build(flat, TARGET, tmp_path / "cache")["notes"]
    assert note.startswith("The dependencies of requirements.txt are locked for Python 3.13 on x86_64 in ")
    assert build(flat, TARGET, tmp_path / "cache")["notes"] == []
    assert len(compiled) == 1
    (flat.root / "requirements.txt").write_text("flask\nredis\n")
    assert build(flat, TARGET, tmp_path / "cache", dry_run=True)["built"]
    assert "redis" not in flat.lock_file.read_text()
    build(flat, TARGET, tmp_path / "cache")
    assert len(compiled) == 3


def test_the_release_has_what_git_tracks_or_what_is_not_ignored(flat: Source) -> None:
    everything = ["app.py", "requirements.txt", "run.sh", "templates/page.html"]
    for name, text in {".gitignore": "*.log\n.env\n", ".env": "SECRET=1", "a.log": "", "x.pyc": ""}.items():
        (flat.root / name).write_text(text)
    (flat.root / "venv").mkdir()
    for name in ("pyvenv.cfg", "python"):
        (flat.root / "venv" / name).write_text("")
    assert flat.files() == [".gitignore", *everything]
    subprocess.run("git init -q && git add app.py templates a.log -f", shell=True, cwd=flat.root, check=True)
    assert flat.files() == ["a.log", "app.py", "templates/page.html"]


@pytest.mark.usefixtures("wheelhouse", "compiled")
def test_the_build_command_runs_in_a_clean_copy(flat: Source, tmp_path: Path) -> None:
    command = "mkdir node_modules static && touch node_modules/x && echo built >static/app.css"
    result = build(replace(flat, build_command=command), TARGET, tmp_path / "cache")
    assert (Path(result["tree"]) / "static/app.css").read_text() == "built\n"
    assert not (Path(result["tree"]) / "node_modules").exists()
    assert not (flat.root / "static").exists()
    with pytest.raises(ReleaseError, match=r"^cannot run app_build_command=.*: npm ERR! no such script, TOKEN=\*\*\*$"):
        build(
            replace(flat, build_command="echo start; echo 'npm ERR! no such script, TOKEN=abc' >&2; false"),
            TARGET,
            tmp_path / "cache",
        )


@pytest.mark.usefixtures("wheelhouse", "compiled")
def test_a_link_out_of_the_source_is_refused(flat: Source, tmp_path: Path) -> None:
    (flat.root / "inside").symlink_to("templates/page.html")
    assert "inside" in flat.files()
    (flat.root / "outside").symlink_to("/etc/passwd")
    with pytest.raises(ReleaseError, match=r"outside in app_source=.* is a symbolic link to /etc/passwd"):
        build(flat, TARGET, tmp_path / "cache")


def test_a_pylock_becomes_requirements_with_hashes(tmp_path: Path) -> None:
    file = tmp_path / "pylock.toml"
    file.write_text(
        'lock-version = "1.0"\n[[packages]]\nname = "flask"\nversion = "3.1.3"\nmarker = "python_version > \'3\'"\n'
        'sdist = { name = "f.tar.gz", hashes = { sha256 = "aa" } }\n'
        'wheels = [{ name = "f.whl", hashes = { sha256 = "bb" } }]\n'
        '[[packages]]\nname = "shop"\ndirectory = { path = "." }\n'
    )
    assert from_pylock(file) == "flask==3.1.3 ; python_version > '3' --hash=sha256:bb --hash=sha256:aa\n"


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ("[project]\nrequires-python = '>=3.13.2'", ""),
        ("[project]\nrequires-python = '<3.13'", 'set app_python = "3.12", or change requires-python'),
        ("[tool.poetry.dependencies]\npython = '^3.9'", ""),
        ("[tool.poetry.dependencies]\npython = '~3.11'", 'set app_python = "3.11", or change requires-python'),
        ("[tool.poetry.dependencies]\npython = '^4'", "change requires-python"),
    ],
)
def test_requires_python_is_judged_for_the_hosts_not_for_this_machine(
    source: Source, settings: str, remedy: str
) -> None:
    (source.root / "pyproject.toml").write_text(settings)
    refused = rf"^app_python=3.13 does not fit requires-python = .*\.toml; {remedy}$"
    with pytest.raises(ReleaseError, match=refused) if remedy else nullcontext():
        refuse_other_python(source.root, "3.13")
    with pytest.raises(ReleaseError, match=r"app_python=3.12.1 is not a version of Python"):
        refuse_other_python(source.root, "3.12.1")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("ERROR: Could not find a version\nERROR: No matching distribution", "Could not find a version"),
        (
            "  error: subprocess-exited-with-error\n  ╰─> Traceback\n      ModuleNotFoundError: No module 'x'\n",
            "ModuleNotFoundError: No module 'x'",
        ),
        ("fatal: cannot read https://me:secret@host/x\n", "cannot read https://***@host/x"),
        (
            "E: The repository 'http://x bookworm Release' does not have a Release file.\n",
            "The repository 'http://x bookworm Release' does not have a Release file.",
        ),
        (
            "ERROR: Ignored the following yanked versions: 5.0.6\nERROR: No matching distribution found for vine==9\n",
            "No matching distribution found for vine==9",
        ),
        ("ERROR: Could not find celery==4.4.1 (from versions: 3.1.3, 4.0.0)", "Could not find celery==4.4.1"),
        ("", "it printed nothing"),
        (
            "ssh: Could not resolve hostname h: Name unknown\nfatal: Could not read from remote repository.\n",
            "ssh: Could not resolve hostname h: Name unknown",
        ),
        (
            "error: Failed to parse `uv.lock`\n  Caused by: TOML parse error at line 1, column 6\n",
            "Caused by: TOML parse error at line 1, column 6",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If …\n    flask==3.1.3 from x",
            "flask==3.1.3 does not have the hash that is locked (was that made for another platform?); lock it again",
        ),
    ],
)
def test_an_error_is_the_first_line_that_gives_the_reason(output: str, expected: str) -> None:
    assert cause(output) == expected


def test_secrets_are_masked() -> None:
    assert masked("git clone https://x:y@h/z API_KEY=abc 'password': 'x'") == (
        "git clone https://***@h/z API_KEY=*** 'password': ***"
    )
    assert masked("tokenizers==0.19 has no wheel") == "tokenizers==0.19 has no wheel"


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12345\n"
SUBMODULE = {".gitmodules": "[submodule 'x']\n  path = libs/own\n"}


@pytest.mark.usefixtures("wheelhouse", "compiled")
@pytest.mark.parametrize(
    ("files", "paths", "message"),
    [
        (
            {"static/logo.png": POINTER},
            (),
            "static/logo.png in app_source=.* has only a pointer to a file in Git LFS; ",
        ),
        ({f"static/{n}.png": POINTER for n in range(5)}, (), "static/0.png, static/1.png, static/2.png and 2 more in "),
        ({"docs/logo.png": POINTER}, ("app.py",), ""),
        (SUBMODULE, (), "libs/own in app_source=.* is a git submodule without its files; "),
        (SUBMODULE, ("app.py",), ""),
        (SUBMODULE | {"libs/own/x": ""}, (), ""),
        ({".gitmodules": "[submodule 'x']\n  path = gone\n"}, (), ""),
    ],
)
def test_a_source_without_some_of_its_files_is_refused(
    flat: Source, tmp_path: Path, files: dict[str, str], paths: tuple[str, ...], message: str
) -> None:
    (flat.root / "libs/own").mkdir(parents=True)
    for name, text in files.items():
        (flat.root / name).parent.mkdir(exist_ok=True)
        (flat.root / name).write_text(text)
    with pytest.raises(ReleaseError, match=f"^{message}") if message else nullcontext():
        build(replace(flat, paths=paths), TARGET, tmp_path / "cache")
