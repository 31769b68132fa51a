"""Searches the host on which it runs for secrets. tests/support/live/secrets.py sends it to hosts.

Standard input has the secrets by name, and the commands whose output is searched, each with variables of its
environment. The output has three parts:

- `hits`: [place, name] where no secret may be, even if only root can read it.
- `readable`: [user, name, place] for the files and environments that each user can read. Root is left out.
- `stored`: the files and environments with a secret.

Nothing secret is an argument, and no value is ever printed.
"""

import base64
import contextlib
import itertools
import json
import os
import pwd
import subprocess
import sys
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path

# Places for everybody, logs, and where programs leave temporary files. Only root could read some of them: still wrong.
NEVER = (
    *("/tmp", "/var/tmp", "/dev/shm", "/run/user", "/run/log", "/var/log", "/var/crash", "/var/lib/systemd/coredump"),
    *("/root", "/home"),
)
# Where secrets may be, for those who need them.
STORES = ("/etc", "/opt", "/srv", "/usr/local", "/run", "/var")
# The journal is searched in its own format. The rest is data of Postgres, Redis and Prometheus, and packages.
LEFT_OUT = {
    "/var/log/journal",
    "/run/log/journal",
    "/var/lib/containers",
    "/var/lib/dpkg",
    "/var/lib/apt",
    "/var/cache",
}
LARGEST = 4_000_000
Hits = set[tuple[str, str]]


def spellings(value: str) -> Iterator[str]:
    """Yield a secret as programs write it: plain, in a URL, as JSON, and in the middle of base64."""
    yield value
    yield urllib.parse.quote(value, safe="")
    yield json.dumps(value)[1:-1]
    for before in range(3):
        # Without the characters at both ends that depend on the neighbours.
        encoded, end = base64.b64encode(b"\0" * before + value.encode()), before + len(value.encode())
        yield encoded[-(-before * 8 // 6) : end * 8 // 6].decode()


class Search:
    """Where secrets were found. grep searches for all of them at once, and gets them from memory."""

    def __init__(self, secrets: dict[str, list[str]]) -> None:
        self.names = {
            spelled.encode(): name
            for name, values in secrets.items()
            for value in values
            for spelled in spellings(value)
        }
        self.patterns = os.memfd_create("patterns")
        os.write(self.patterns, b"\n".join(self.names) + b"\n")
        self.hits: Hits = set()

    def grep(self, *options: str, content: bytes | None = None) -> list[bytes]:
        """Return the lines that grep prints."""
        command = ["grep", "--text", "--only-matching", "--no-messages", "--fixed-strings"]
        command += [f"--file=/proc/self/fd/{self.patterns}", *options]
        run = subprocess.run(command, input=content, stdout=subprocess.PIPE, pass_fds=[self.patterns], check=False)
        return run.stdout.splitlines()

    def find(self, content: bytes) -> set[str]:
        """Return the names of the secrets in a content."""
        return {self.names[match] for match in self.grep(content=content)}

    def find_in(self, paths: Iterable[Path]) -> dict[str, set[str]]:
        """Return the names of the secrets in files. Files that vanish or cannot be read are left out."""
        found: dict[str, set[str]] = {}
        for some in batched(paths):
            for line in self.grep("--with-filename", "--null", "--", *map(str, some)):
                path, _, match = line.partition(b"\0")
                found.setdefault(os.fsdecode(path), set()).add(self.names[match])
        return found

    def never(self, place: str, content: bytes) -> None:
        """Search a content in which no secret may be."""
        self.hits |= {(place, name) for name in self.find(content)}

    def never_in(self, paths: Iterable[Path], place: str = "") -> None:
        """Search files in which no secret may be."""
        self.hits |= {(place or path, name) for path, names in self.find_in(paths).items() for name in names}


def batched(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """Yield lists of paths that fit into a command line."""
    remaining = iter(paths)
    while some := list(itertools.islice(remaining, 1000)):
        yield some


def files(folders: Iterable[str]) -> Iterator[Path]:
    """Yield the regular files below folders of this file system."""
    for start in folders:
        for folder, inner, names in os.walk(start):
            inner[:] = [name for name in inner if f"{folder}/{name}" not in LEFT_OUT]
            yield from (path for path in (Path(folder, name) for name in names) if path.is_file())


def readers(paths: list[str], users: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (user, path) for each of the files that a user can open: the kernel decides."""
    for user in users:
        entry = pwd.getpwnam(user)
        receive, send = os.pipe()
        if not os.fork():
            os.initgroups(user, entry.pw_gid)
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            opened = [number for number, path in enumerate(paths) if readable(path)]
            os.write(send, json.dumps(opened).encode())
            os._exit(0)
        os.close(send)
        with os.fdopen(receive) as answer:
            yield from ((user, paths[number]) for number in json.load(answer))
        os.wait()


def readable(path: str) -> bool:
    """Whether this process can read a file."""
    try:
        with Path(path).open("rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def size(path: Path) -> int:
    """Return the size of a file, or 0 if it vanished."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def main() -> None:
    """Search this host."""
    request = json.load(sys.stdin)
    search = Search(request["secrets"])
    search.never_in(files(NEVER))
    stored = search.find_in(path for path in files(STORES) if not path.is_symlink() and size(path) < LARGEST)
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    search.never_in((process / "cmdline" for process in processes), "the arguments of a process")
    stored |= search.find_in(process / "environ" for process in processes)
    users = {"nobody"}
    for process in processes:
        with contextlib.suppress(OSError, KeyError):  # it has ended, or is a user of a container
            users.add(pwd.getpwuid(process.stat().st_uid).pw_name)
    search.never("the journal", output(["journalctl", "--output=export", "--all", "--quiet"]))
    for name, (command, environment) in request["commands"].items():
        search.never(name, output(command, environment))
    seen = sorted(
        (user, name, place(path))
        for user, path in set(readers(sorted(stored), users - {"root"}))
        for name in stored[path]
    )
    print(json.dumps({"hits": sorted(search.hits), "readable": sorted(set(seen)), "stored": sorted(stored)}))


def place(path: str) -> str:
    """Return the path of a file, or `environ` for that of any process."""
    return "environ" if path.startswith("/proc/") else path


def output(command: list[str], environment: dict[str, str] | None = None) -> bytes:
    """Return what a command prints."""
    variables = os.environ | (environment or {})
    return subprocess.run(command, stdout=subprocess.PIPE, cwd="/", env=variables, check=True).stdout


if __name__ == "__main__":
    main()
