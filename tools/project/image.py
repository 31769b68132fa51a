"""Finds what a Dockerfile installs and builds: Debian packages that the application needs, and assets."""

import re
from collections.abc import Iterator

from tools.project.commands import DEVELOPMENT, DOCKERFILE, Command, logical_lines, settings
from tools.project.dependencies import Dependencies
from tools.project.tree import Finding, Tree

NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")
# Packages that only a build needs, that every host has, or whose work the fleet does.
NOT_NEEDED = re.compile(
    r".*-dev|lib[\w+-]*\d\.\d.*|build-essential|gcc.*|g\+\+|make|cmake|clang|ninja-build|pkg-config|pkgconf|cargo|"
    r"rustc|git(-core)?|virtualenv|curl|wget|"
    r"gnupg2?|ca-certificates|apt-.*|software-properties-common|lsb-release|netcat.*|vim|nano|less|sudo|procps|bash|"
    r"tzdata|locales|dumb-init|tini|gosu|supervisor|nginx|cron|python3?([.\d-].*)?|node.*|npm|yarn|"
    r"(postgresql|mysql|mariadb|redis)-.*|default-mysql-client|lib(ssl|ffi|pq)\d.*|zlib1g"
)
# Python packages that load a library or run a program of the host, with the names of these in Debian 13.
LIBRARIES = {
    "cairosvg": "libcairo2",
    "graphviz": "graphviz",
    "opencv-python": "libgl1",
    "pdf2image": "poppler-utils",
    "pydub": "ffmpeg",
    "pytesseract": "tesseract-ocr",
    "python-magic": "libmagic1t64",
    "pyzbar": "libzbar0t64",
    "weasyprint": "libpangoft2-1.0-0 libharfbuzz-subset0",
}
PRODUCTION = re.compile(r"(?i)prod(uction)?|release|final|runtime|runner|deploy(ment)?")
NODE = frozenset({"npm", "yarn", "pnpm", "bun", "npx"})


def packages(tree: Tree, needs: Dependencies) -> Finding | None:
    """Return the Debian packages that the application probably needs, with their places."""
    found = {name: place for name, place in named(tree) if not NOT_NEEDED.fullmatch(name)}
    for package, names in LIBRARIES.items():
        if needs.has(package):
            found |= dict.fromkeys(names.split(), f"{needs.input}: {package}")
    places = ", ".join(dict.fromkeys(found.values()))
    return Finding("app_packages", list(found), places, assumed=True) if found else None


def named(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield the packages of Heroku's Aptfile, or else those that a Dockerfile installs, with their place."""
    listed = [line.strip() for line in tree.read("Aptfile").splitlines()]
    found = [(name, "Aptfile") for name in listed if NAME.fullmatch(name)]
    for file in dockerfiles(tree):
        found = found or [(name, place) for place, words in last_stage(tree, file) for name in installed(words)]
    yield from found


def dockerfiles(tree: Tree) -> list[str]:
    """Return the names of the Dockerfiles that may make the application's image, that of the project's folder first."""
    found = [name for name in tree.files if DOCKERFILE.search(name) and not DEVELOPMENT.search(name)]
    return sorted(found, key=lambda name: (name.count("/"), name))


def last_stage(tree: Tree, file: str) -> Iterator[tuple[str, list[str]]]:
    """Yield place and words of the commands that make the image of a Dockerfile: one of that name, or the last."""
    stages: list[tuple[str, str, list[tuple[str, list[str]]]]] = []
    for number, line in logical_lines(tree.read(file)):
        word, _, rest = line.partition(" ")
        if word.upper() == "FROM":
            names = [name for name in rest.split() if not name.startswith("--")]
            stages.append((names[-1] if len(names) > 2 else "", names[0] if names else "", []))
        elif word.upper() == "RUN" and stages:
            stages[-1][2].extend((f"{file}:{number}", words) for words in Command("", rest, "").steps)
    last = max((n for n, (name, *_) in enumerate(stages) if PRODUCTION.fullmatch(name)), default=len(stages) - 1)
    wanted = None
    for index in range(last, -1, -1):
        name, base, commands = stages[index]
        if index == last or name == wanted:
            yield from commands
            wanted = base


def installed(words: list[str]) -> Iterator[str]:
    """Yield the packages that a command of apt installs."""
    _, rest = settings(words)
    if rest and rest[0] in {"apt-get", "apt"} and "install" in rest:
        for word in rest[rest.index("install") + 1 :]:
            if NAME.fullmatch(name := word.partition("=")[0]):
                yield name


def assets(tree: Tree) -> str:
    """Return where a Dockerfile runs Node's tools, with the command. It is empty if none does."""
    for file in dockerfiles(tree):
        for number, line in logical_lines(tree.read(file)):
            word, _, rest = line.partition(" ")
            for words in Command("", rest, "").steps if word.upper() == "RUN" else ():
                if settings(words)[1][:1] and settings(words)[1][0] in NODE:
                    return f"{file}:{number} runs `{' '.join(words)}`"
    return ""
