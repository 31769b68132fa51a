"""Finds the objects of a class, such as Flask or Celery, and the functions that make them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tools.project.code import Code, Function, Module, assignments, calls, dotted, text

FLASK = frozenset({"flask.Flask", "flask.app.Flask", "apiflask.APIFlask", "flask_openapi3.OpenAPI"})
# The attribute of these objects is what a server loads.
DASH = frozenset({"dash.Dash", "dash.dash.Dash"})
CELERY = frozenset({"celery.Celery", "celery.app.Celery"})
ENTRANCES = frozenset({"wsgi", "passenger_wsgi", "celery_worker", "celeryworker", "run_celery", "make_celery"})
Key = tuple[str, str]


@dataclass(frozen=True)
class Target:
    """Something that a server can load: an object of a module, or a factory that needs no arguments.

    `made_by` is the function or object that constructs it, and the same for all targets of one application.
    """

    module: str
    name: str
    source: str
    made_by: Key
    factory: bool = False

    @property
    def spelled(self) -> str:
        """The target as gunicorn spells it."""
        return f"{self.module}:{self.name}{'()' if self.factory else ''}"


@dataclass(frozen=True)
class Apps:
    """All objects of some classes in a project."""

    code: Code
    wanted: frozenset[str]
    extension: str = ""

    def constructs(self, module: Module, call: ast.Call) -> bool:
        """Whether a call creates an object of the class, or of one that a module of the project derives from it."""
        source, name = self.code.resolve(module, dotted(call.func))
        for _ in range(5):
            if f"{source}.{name}" in self.wanted:
                return True
            known = self.code.modules.get(source)
            if known is None or name not in known.classes or not known.classes[name].bases:
                return False
            source, name = self.code.resolve(known, dotted(known.classes[name].bases[0]))
        return False

    @cached_property
    def factories(self) -> dict[Key, ast.Call | None]:
        """The functions that return such an object, with the call that constructs it, if it is in the function."""
        found: dict[Key, ast.Call | None] = {}
        for _ in range(3):  # a factory may call another one, which is found in the round before
            before = len(found)
            for module in self.code.modules.values():
                for name, function in module.functions.items():
                    if (module.name, name) not in found:
                        made, call = self._made_in(module, function, found)
                        if made:
                            found[module.name, name] = call
            if len(found) == before:
                break
        return found

    def _made_in(
        self, module: Module, function: Function, known: dict[Key, ast.Call | None]
    ) -> tuple[bool, ast.Call | None]:
        steps = list(ast.walk(function))
        returned = [step.value for step in steps if isinstance(step, ast.Return)]
        if not any(isinstance(value, ast.Name | ast.Call) for value in returned):
            return False, None
        own = {name: value for step in steps for name, value in assignments(step)}
        for given in returned:
            value = own.get(given.id, given) if isinstance(given, ast.Name) else given
            if isinstance(value, ast.Call) and self.constructs(module, value):
                return True, value
            if isinstance(value, ast.Call) and self.code.resolve(module, dotted(value.func)) in known:
                return True, None
        return False, None

    def constructor(self, target: Target) -> tuple[Module, ast.Call] | None:
        """Return the call that constructs a target's object, and its module."""
        module, name = target.made_by
        call: ast.expr | None = self.factories.get(target.made_by)
        call = call or self.code.modules[module].assigned.get(name)
        return (self.code.modules[module], call) if isinstance(call, ast.Call) else None

    @cached_property
    def targets(self) -> list[Target]:
        """All targets of the project, in the order of the modules."""
        return [target for module in self.code.modules.values() for target in self._targets(module)]

    def _targets(self, module: Module) -> Iterator[Target]:
        for name, value in module.assigned.items():
            if isinstance(value, ast.Call) and self.constructs(module, value):
                yield Target(module.name, name, module.at(value), (module.name, name))
            elif isinstance(value, ast.Call) and (made := self._root(module, dotted(value.func))):
                yield Target(module.name, name, module.at(value), made)
            elif self._is_extension(value) or self._is_server(module, value):
                yield Target(module.name, name, module.at(value), (module.name, name))
        for name, function in module.functions.items():
            if (made := self._root(module, name)) and not needs_arguments(function):
                yield Target(module.name, name, module.at(function), made, factory=True)
        for name in module.imported:
            # `from shop import app as application` in a module that exists for the server or the worker.
            if module.name.split(".")[-1] in ENTRANCES:
                source, original = self.code.resolve(module, name)
                known = self.code.modules.get(source)
                made_by = known.assigned.get(original) if known else None
                if known and isinstance(made_by, ast.Call) and self.constructs(known, made_by):
                    yield Target(module.name, name, module.path, (source, original))

    def _root(self, module: Module, name: str) -> Key | None:
        """Return the factory that a name leads to, or the one that this factory calls."""
        key = self.code.resolve(module, name)
        if key not in self.factories:
            return None
        for _ in range(3):
            if self.factories[key] is not None:
                break
            inner = self.code.modules[key[0]]
            function = inner.functions[key[1]]
            called = [self.code.resolve(inner, dotted(call.func)) for call in calls(function)]
            key = next((other for other in called if other in self.factories and other != key), key)
        return key

    def _is_extension(self, value: ast.expr) -> bool:
        """Whether it is `app.extensions["celery"]`, as in Flask's documentation."""
        return (
            bool(self.extension)
            and isinstance(value, ast.Subscript)
            and isinstance(value.value, ast.Attribute)
            and value.value.attr == "extensions"
            and text(value.slice) == self.extension
        )

    def _is_server(self, module: Module, value: ast.expr) -> bool:
        """Whether it is the attribute `server` of an object of Dash, which is a Flask application."""
        if not isinstance(value, ast.Attribute) or value.attr != "server" or self.extension:
            return False
        source, name = self.code.resolve(module, dotted(value.value))
        known = self.code.modules.get(source)
        made = known.assigned.get(name) if known else None
        return (
            isinstance(made, ast.Call)
            and known is not None
            and ".".join(self.code.resolve(known, dotted(made.func))) in DASH
        )

    def needy(self) -> list[str]:
        """Return the factories that need arguments, with their place."""
        return [
            f"{name}() in {self.code.modules[module].path}"
            for module, name in self.factories
            if needs_arguments(self.code.modules[module].functions[name])
        ]


def needs_arguments(function: Function) -> bool:
    """Whether a function cannot be called without arguments."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) > len(arguments.defaults)
    return required or any(default is None for default in arguments.kw_defaults)
