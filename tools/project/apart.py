"""Finds the application, and leaves out the folders beside it that it does not use: tools, or another service."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tools.project import commands, web
from tools.project.apps import FLASK, Apps
from tools.project.code import Code, Module, text
from tools.project.commands import Command
from tools.project.dependencies import Dependencies
from tools.project.tree import Finding, Tree


def application(tree: Tree, lines: list[Command], needs: Dependencies, asked: str) -> tuple[Finding, Tree]:
    """Return gunicorn's target, and the files without those of other programs."""
    code, others = Code(tree), list(commands.others(tree))
    web_lines = [command for command in lines if command.name == "web"]
    module = web.choose(Apps(code, FLASK), web_lines + others, commands.flask_app(tree), asked)
    web.refuse_other_folder(code, module, needs)
    if unused := sorted(unused_folders(code, module.value.partition(":")[0], lines + others)):
        names = ", ".join(folder.strip("/") for folder in unused)
        module = replace(module, source=f"{module.source}; nothing imports {names}, so that is not read")
        tree = replace(tree, left_out=tuple(unused))
    return module, tree


def unused_folders(code: Code, target: str, found: list[Command]) -> set[str]:
    """Return the top-level folders with code that neither the application nor a command of the project names."""
    folders: dict[str, list[Module]] = {}
    used: list[Module] = []
    for module in code.modules.values():
        root = code.source_root if module.path.startswith(code.source_root) else ""
        first, inside, _ = module.path.removeprefix(root).partition("/")
        if inside and first != target.split(".")[0]:
            folders.setdefault(f"{root}{first}/", []).append(module)
        else:
            used.append(module)
    if target not in code.modules:
        return set()
    names = {part for command in found for part in named(command, folders)}
    while used:
        names |= {part for module in used for part in mentioned(module)}
        new = {folder for folder in folders if folder.rstrip("/").rpartition("/")[2] in names}
        used = [module for folder in new for module in folders.pop(folder)]
    migrations = [name for name in code.tree.files if name.endswith(("/env.py", "/alembic.ini"))]
    return {folder for folder in folders if not any(name.startswith(folder) for name in migrations)}


def named(command: Command, folders: Iterable[str]) -> Iterator[str]:
    """Yield the first parts of the paths and modules in a command, unless that is in one of the folders itself."""
    if not command.source.startswith(tuple(folders)):
        yield from (part for word in re.split(r"[\s=\"']+", command.line) for part in re.split(r"[./:]", word)[:3])


def mentioned(module: Module) -> Iterator[str]:
    """Yield the first parts of the modules that a module imports, or has in a string."""
    for source, name in module.imported.values():
        yield from (source.split(".")[0], name)
    for node in module.nodes:
        if (value := text(node)) and re.fullmatch(r"[\w.:/-]+", value):
            yield re.split(r"[.:/]", value.lstrip("./"))[0]
