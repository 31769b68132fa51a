"""Sources that are not folders of this machine: git repositories and archives. And other projects' lock files."""

import shutil
import subprocess
import tarfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.unit.tools.release.projects import TARGET
from tools.release import lock as locking
from tools.release.errors import ReleaseError
from tools.release.fetch import checkout, refuse_unreadable
from tools.release.requirements import from_pdm
from tools.release.source import Source


@pytest.fixture
def repository(flat: Source) -> Path:
    """A git repository with two commits. The first one has the tag v1."""
    (flat.root / ".gitignore").write_text("*.html\n")
    git = "git -c user.name=a -c user.email=a@b"
    command = f"git init -q && git add --force . && {git} commit -qm one && git tag v1 && touch two && git add . && "
    subprocess.run(f"{command}{git} commit -qm two", shell=True, cwd=flat.root, check=True)
    return flat.root


def test_a_git_repository_is_fetched_at_its_ref(repository: Path, tmp_path: Path) -> None:
    newest = checkout(f"file://{repository}", tmp_path / "cache")
    tagged = checkout(f"git+file://{repository}#v1", tmp_path / "cache")
    assert (newest.root / "two").exists()
    assert not (tagged.root / "two").exists()
    # Also what git tracks although it is ignored.
    assert (tagged.root / "templates/page.html").exists()
    assert tagged.commit != newest.commit
    shutil.rmtree(repository)
    assert checkout(tagged.pinned, tmp_path / "cache") == tagged


@pytest.mark.parametrize("inside", [".", "shop-1.0"])
def test_an_archive_is_unpacked_without_the_folder_that_it_has(flat: Source, tmp_path: Path, inside: str) -> None:
    with tarfile.open(tmp_path / "shop.tar.gz", "w:gz") as archive:
        archive.add(flat.root, inside)
    found = checkout(str(tmp_path / "shop.tar.gz"), tmp_path / "cache")
    assert (found.root / "templates/page.html").exists()
    assert checkout(found.pinned, tmp_path / "cache") == found


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/nowhere", "app_source=/nowhere is not a folder; "),
        ("/nowhere.tgz", "app_source=/nowhere.tgz does not exist; "),
        ("http://x/y.zip", "app_source=http://x/y.zip is not fetched without encryption; "),
        (
            "file:///nowhere#v1",
            "cannot fetch app_source=file:///nowhere#v1: '/nowhere' does not appear to be a git rep",
        ),
        ("https://me:secret@localhost:1/x.git", r"cannot fetch app_source=https://\*\*\*@localhost:1/x.git: "),
    ],
)
def test_a_source_that_cannot_be_fetched_is_explained(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(ReleaseError, match=f"^{message}"):
        checkout(source, tmp_path)


def test_submodules_are_fetched_with_their_parent(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # git fetches no submodules from folders, unless this allows it.
    for name, value in {"COUNT": "1", "KEY_0": "protocol.file.allow", "VALUE_0": "always"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    parent = tmp_path / "parent"
    shutil.copytree(repository, parent)
    git = "git -c user.name=a -c user.email=a@b"
    command = f"git submodule --quiet add {repository.resolve()} libs/own && {git} commit -qam three && touch x"
    subprocess.run(command, shell=True, cwd=parent, check=True)
    # The submodule stays at its commit.
    subprocess.run(f"touch later && git add . && {git} commit -qm later", shell=True, cwd=repository, check=True)
    found = checkout(f"file://{parent}", tmp_path / "cache")
    assert (found.root / "libs/own/two").exists()
    assert not (found.root / "libs/own/later").exists()
    assert not list(found.root.rglob(".git"))
    assert checkout(found.pinned, tmp_path / "cache") == found


def test_a_repository_that_can_be_read_passes(repository: Path, tmp_path: Path) -> None:
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True).strip()
    subprocess.run(["git", "update-ref", "refs/pull/7/head", commit], cwd=repository, check=True)
    for ref in ("", "#v1", "#HEAD", "#tags/v1", "#refs/tags/v1", "#pull/7/head", f"#{commit}"):
        refuse_unreadable(f"file://{repository}{ref}", tmp_path)
        assert checkout(f"file://{repository}{ref}", tmp_path).root.is_dir()
    with pytest.raises(ReleaseError, match=r"has no branch or tag v2; correct what follows #$"):
        refuse_unreadable(f"file://{repository}#v2", tmp_path)
    shutil.rmtree(repository)
    refuse_unreadable(f"file://{repository}#{commit}", tmp_path)


def test_a_private_repository_is_refused_with_the_ways_to_get_access(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "#!/bin/sh\necho \"fatal: could not read Username for 'https://h': $GIT_TERMINAL_PROMPT\" >&2; exit 128\n"
    (tmp_path / "git").write_text(program)
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    begin = r"^cannot read app_source=https://\*\*\*@h/x.git#v1: could not read Username for 'https://h': 0. "
    with pytest.raises(ReleaseError, match=f"{begin}If the repository is private, give this machine access: "):
        refuse_unreadable("https://me:secret@h/x.git#v1", tmp_path)


def test_the_default_group_of_a_pdm_lock_becomes_requirements(tmp_path: Path) -> None:
    file = tmp_path / "pdm.lock"
    file.write_text(
        '[[package]]\nname = "django"\nversion = "3.2"\ngroups = ["default", "dev"]\n'
        'files = [{file = "d.whl", hash = "sha256:bb"}, {file = "d.tar.gz", hash = "sha256:aa"}]\n'
        '[[package]]\nname = "django"\nversion = "3.2"\nextras = ["argon2"]\ngroups = ["default"]\n'
        'files = [{file = "d.whl", hash = "sha256:bb"}]\n'
        '[[package]]\nname = "pytest"\nversion = "8.0"\ngroups = ["dev"]\n'
        '[[package]]\nname = "six"\nversion = "1.16"\nmarker = "python_version < \'4\'"\n'
    )
    assert (
        from_pdm(file, {"default"})
        == "django==3.2 --hash=sha256:bb --hash=sha256:aa\nsix==1.16 ; python_version < '4'\n"
    )


def test_gunicorn_is_added_to_an_export_that_lacks_it(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def uv(*arguments: str, **_: object) -> str:
        if "export" in arguments:
            return "packaging==26.3 \\\n    --hash=sha256:aaaa\n"
        output = next(Path(a.partition("=")[2]) for a in arguments if a.startswith("--output-file="))
        output.write_text("gunicorn==27.0.1 --hash=sha256:abcd\npackaging==26.3 --hash=sha256:aaaa\n")
        return ""

    monkeypatch.setattr(locking, "uv", uv)
    (source.root / "poetry.lock").write_text("")
    lock = locking.lock(source.root, "", TARGET, tmp_path / "requirements.lock")
    assert lock.lines == ["packaging==26.3 --hash=sha256:aaaa", "gunicorn==27.0.1 --hash=sha256:abcd"]


def test_private_indexes_are_used_and_not_written_into_the_lock_file(
    flat: Source, compiled: list[str], tmp_path: Path
) -> None:
    (flat.root / "requirements.txt").write_text("--extra-index-url https://u:p@h/simple\nflask\n-e .\n")
    file = tmp_path / "requirements.lock"
    for _ in range(2):
        lines = locking.lock(flat.root, "", TARGET, file).lines
        assert lines[0] == "--extra-index-url https://u:p@h/simple"
        assert [line.partition("==")[0] for line in lines[1:]] == ["flask", "gunicorn"]
    assert len(compiled) == 1
    assert "https://" not in file.read_text()


LOCKED = "flask==3.1.3 --hash=sha256:aa"


@pytest.mark.parametrize(("line", "refused"), [("-e file://{root}", False), (".", False), ("./libs/money", True)])
def test_folders_of_this_machine_are_refused_except_the_project_itself(
    flat: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, refused: bool
) -> None:
    def uv(*arguments: str, **_: object) -> str:
        output = next(Path(a.partition("=")[2]) for a in arguments if a.startswith("--output-file="))
        output.write_text(f"{line.format(root=flat.root)}\n    # via -r requirements.txt\n{LOCKED}\n")
        return ""

    monkeypatch.setattr(locking, "uv", uv)
    with pytest.raises(ReleaseError, match=r"needs \./libs/money, a folder") if refused else nullcontext():
        assert locking.lock(flat.root, "", TARGET, tmp_path / "lock").lines == [LOCKED]
