"""The commands that start a project: from its Procfile, Dockerfile, Compose file and shell scripts."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tools.project.tree import ProjectError, Tree

LINE = re.compile(r"([A-Za-z0-9_-]+)\s*:\s*(.+)")
SETTING = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
# Programs that start another one, with the number of their own words.
WRAPPERS = (
    *(["exec"], ["dumb-init"], ["tini", "--"], ["tini"], ["ddtrace-run"], ["opentelemetry-instrument"], ["env"]),
    *([tool, "run"] for tool in ("poetry", "pipenv", "uv", "pdm", "rye", "hatch")),
    *(["newrelic-admin", "run-program"], ["bin/start-pgbouncer"], ["python", "-m"], ["python3", "-m"]),
)
GUNICORN_FLAGS = re.compile(
    "-D|-R|--(preload|reload|daemon|capture-output|enable-stdio-inheritance|no-sendfile|check-config|print-config|spew|"
    "log-syslog|proxy-protocol|reuse-port|strip-header-spaces)"
)
SHORT = {"-w": "--workers", "-t": "--timeout", "-k": "--worker-class", "-b": "--bind", "-c": "--config", "-e": "--env"}
SCRIPT = re.compile(r"(^|/)(bin|docker|scripts?|deploy[^/]*)/[^/.]+$|\.sh$|(^|/)(docker-)?(entrypoint|run|start)$")
COMPOSE = re.compile(r"^(docker-)?compose[^/]*\.ya?ml$")
DEVELOPMENT = re.compile(r"\b(dev|develop|development|test|tests|testing|local|override|ci)\b")
DOCKERFILE = re.compile(r"(^|/)Dockerfile(\.(prod|production|web))?$|(^|/)prod(uction)?\.Dockerfile$")


@dataclass(frozen=True)
class Command:
    """A command line. `name` is the process type of a Procfile, or the service of a Compose file.

    `beside` is a service that is built from the project and publishes no port.
    """

    name: str
    line: str
    source: str
    beside: bool = False

    @property
    def steps(self) -> list[list[str]]:
        """The words of each command that the line runs, one after another. They are empty if it cannot be split."""
        lexer = shlex.shlex(self.line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split, lexer.commenters = True, ""
        steps: list[list[str]] = [[]]
        try:
            for word in lexer:
                steps.append([]) if word and set(word) <= {";", "&", "|"} else steps[-1].append(word)
        except ValueError:
            return []
        return [step for step in steps if step]


@dataclass
class Gunicorn:
    """A command line of gunicorn. `options` has long names without dashes."""

    target: str = ""
    options: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def settings(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split the leading NAME=value words, and programs that only start another one, from a command."""
    environment = {}
    words = list(words)
    while words:
        if found := SETTING.fullmatch(words[0]):
            environment[found[1]] = found[2]
            words = words[1:]
        elif wrapper := next((w for w in WRAPPERS if words[: len(w)] == w and len(words) > len(w)), None):
            words = words[len(wrapper) :]
        else:
            break
    return environment, words


def program(words: list[str]) -> str:
    """Return the name of the program that a command runs."""
    _, rest = settings(words)
    return rest[0].rpartition("/")[2] if rest else ""


def gunicorn(words: list[str]) -> Gunicorn | None:
    """Parse a command of gunicorn. It is None for another program."""
    environment, rest = settings(words)
    if not rest or rest[0].rpartition("/")[2] != "gunicorn":
        return None
    found = Gunicorn(environment=environment)
    words = rest[1:]
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            found.target = found.target or word
            continue
        name, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2:  # -w4
            name, equals, value = word[:2], "=", word[2:]
        name = SHORT.get(name, name)
        if not equals and not GUNICORN_FLAGS.fullmatch(name) and words:
            value = words.pop(0)
        if name == "--env" and (pair := SETTING.fullmatch(value)):
            found.environment[pair[1]] = pair[2]
        else:
            found.options[name.lstrip("-")] = value
    if found.target and ":" not in found.target:
        found.target += ":application"  # gunicorn's own default
    return found


@dataclass(frozen=True)
class Celery:
    """A command line of Celery: its application, and the kind of process."""

    app: str
    kind: str
    options: dict[str, str]


def celery(words: list[str]) -> Celery | None:
    """Parse a command of Celery. It is None for another program."""
    _, rest = settings(words)
    if not rest or rest[0].rpartition("/")[2] != "celery":
        return None
    app, kind, options = "", "", {}
    words = rest[1:]
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            kind = kind or word
        elif name in {"-A", "--app", "-c", "--concurrency", "-Q", "--queues", "-l", "--loglevel", "-n", "--hostname"}:
            value = value if equals else (words.pop(0) if words else "")
            options[name.lstrip("-")] = value
        else:
            options[name.lstrip("-")] = value
    app = options.get("A") or options.get("app") or ""
    return Celery(app, kind, options)


def procfile(tree: Tree) -> list[Command]:
    """Return the processes of the Procfile, in its order."""
    found: dict[str, Command] = {}
    for number, line in enumerate(tree.read("Procfile").splitlines(), 1):
        if not (line := line.strip()) or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        command = Command(match[1], match[2].strip(), f"Procfile:{number}") if match else None
        if command is None or not command.steps:
            reason = "a quote is not closed" if command else "it is not `name: command`"
            raise ProjectError(f"Procfile, line {number}, cannot be read, because {reason}: {line}; correct this line.")
        if command.name in found:
            raise ProjectError(f"Procfile, line {number}, has a second process {command.name}; rename one of them.")
        found[command.name] = command
    return list(found.values())


def others(tree: Tree) -> Iterator[Command]:
    """Yield the commands of Dockerfiles, Compose files and shell scripts, in the order of their weight."""
    names = sorted(tree.files, key=lambda name: (name.count("/"), bool(DEVELOPMENT.search(name)), name))
    for name in names:
        if DOCKERFILE.search(name):
            yield from dockerfile(tree.read(name), name)
    for name in names:
        if COMPOSE.search(name):
            yield from compose(tree.read(name), name)
    for name in names:
        if SCRIPT.search(name):
            for number, line in logical_lines(tree.read(name)):
                yield Command("", line, f"{name}:{number}")


def logical_lines(content: str) -> Iterator[tuple[int, str]]:
    """Yield numbers and lines, with a backslash at the end of a line joining the next one. Comments are left out."""
    start, joined = 0, ""
    for number, line in enumerate(content.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        start = start if joined else number
        joined += line.strip()
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        if joined:
            yield start, joined
        joined = ""
    if joined:
        yield start, joined


def dockerfile(content: str, name: str) -> Iterator[Command]:
    """Yield what a Dockerfile runs: CMD and ENTRYPOINT first, then its RUN steps, named `RUN`."""
    lines = list(logical_lines(content))
    for wanted in (("CMD", "ENTRYPOINT"), ("RUN",)):
        for number, line in reversed(lines):
            word, _, rest = line.partition(" ")
            if word.upper() in wanted:
                label = "RUN" if wanted == ("RUN",) else ""
                yield Command(label, unlisted(rest.strip()), f"{name}:{number}")


def docker_environment(tree: Tree) -> dict[str, tuple[str, str]]:
    """Return the variables that a Dockerfile sets to literal values, with their place."""
    found = {}
    for name in tree.files:
        if DOCKERFILE.search(name):
            for number, line in logical_lines(tree.read(name)):
                word, _, rest = line.partition(" ")
                if word.upper() == "ENV":
                    for key, value in environment_of(rest).items():
                        if "$" not in value:
                            found[key] = (value, f"{name}:{number}")
    return found


def environment_of(line: str) -> dict[str, str]:
    """Parse an ENV instruction: `NAME=value …`, or the old form `NAME value`."""
    try:
        words = shlex.split(line)
    except ValueError:
        return {}
    pairs = [SETTING.fullmatch(word) for word in words]
    if pairs and all(pairs):
        return {pair[1]: pair[2] for pair in pairs if pair}
    return {words[0]: " ".join(words[1:])} if len(words) > 1 else {}


def unlisted(value: Any) -> str:
    """Return a command as one line: a list in JSON or YAML is quoted again."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    return shlex.join(map(str, value)) if isinstance(value, list) else str(value or "")


def compose(content: str, name: str) -> Iterator[Command]:
    """Yield the commands of a Compose file's services."""
    try:
        services = (yaml.safe_load(content) or {}).get("services") or {}
    except (yaml.YAMLError, AttributeError):
        return
    entries = (
        {n: entry for n, entry in services.items() if isinstance(entry, dict)} if isinstance(services, dict) else {}
    )
    images = {entry["image"] for entry in entries.values() if "image" in entry and is_built_here(entry)}
    for service, entry in entries.items():
        beside = not entry.get("ports") and (is_built_here(entry) or entry.get("image") in images)
        for key in ("command", "entrypoint"):
            if entry.get(key):
                line = unlisted(entry[key])
                # `sh -c "…"` runs the line inside.
                words = Command("", line, "").steps
                inner = words[0][2] if words and words[0][:2] in (["sh", "-c"], ["bash", "-c"]) else line
                yield Command(str(service), inner, f"{name}, service {service}", beside)


def is_built_here(service: dict[str, Any]) -> bool:
    """Whether a service of a Compose file is built from the project's own folder."""
    build = service.get("build")
    context = build.get("context", ".") if isinstance(build, dict) else build
    return isinstance(context, str) and not context.strip("./")


def flask_app(tree: Tree) -> tuple[str, str] | None:
    """Return the value of FLASK_APP in .flaskenv or a Dockerfile, with its place."""
    set_there = re.compile(r"(?m)^[\s-]*(?:export\s+)?FLASK_APP\s*[=:]\s*[\"']?([^\"'\s#$]+)")
    for name in (".flaskenv", ".env"):
        if found := set_there.search(tree.read(name)):
            return found[1], name
    if image := docker_environment(tree).get("FLASK_APP"):
        return image
    files = [name for name in tree.files if COMPOSE.search(name) or SCRIPT.search(name)]
    return next(((found[1], name) for name in files if (found := set_there.search(tree.read(name)))), None)
