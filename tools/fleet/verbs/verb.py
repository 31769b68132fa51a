"""What a verb of `bin/fleet` is, and the parser that a table of verbs makes."""

import os
from argparse import REMAINDER, SUPPRESS, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from textwrap import fill, indent
from typing import Any, NamedTuple


class Verb(NamedTuple):
    """What one word of the command line does.

    Args:
        run: The function that does it, with the fleet and the arguments. An int that it returns is the exit code.
        help: One line for --help, without a full stop.
        arguments: Adds the verb's arguments to its parser.
        works_on: A fleet of the "sandbox", "any" fleet, or "nothing": then `run` gets no fleet.
        example: A command for --help, or several, one on each line.
    """

    run: Callable[..., object]
    help: str
    arguments: Callable[[ArgumentParser], object] = lambda _: None
    works_on: str = "sandbox"
    example: str = ""


def fleet_options() -> ArgumentParser:
    """Return the parser of the options that every verb has."""
    parser = ArgumentParser(add_help=False, argument_default=SUPPRESS, allow_abbrev=False)
    parser.add_argument(
        "--inventory", metavar="NAME", help="folder in inventories/, or a path (default: INVENTORY, or sandbox)"
    )
    parser.add_argument("--fleet", metavar="NAME", help="a fleet of this machine (default: FLEET, or the inventory)")
    return parser


def parser_of(verbs: Mapping[str, Verb], program: str, description: str) -> ArgumentParser:
    """Return the parser of all verbs."""
    shared = fleet_options()
    parser = ArgumentParser(
        prog=program, description=description, parents=[shared], formatter_class=RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in verbs.items():
        own = commands.add_parser(
            name,
            help=verb.help,
            description=f"{verb.help[0].upper()}{verb.help[1:]}.",
            epilog=f"example:\n{indent(verb.example, '  ')}" if verb.example else None,
            parents=[shared],
            formatter_class=RawDescriptionHelpFormatter,
        )
        verb.arguments(own)
        own.description = fill(own.description or "", 79)
    return parser


def add_command(parser: ArgumentParser, help_text: str, required: bool = False) -> None:
    """Add the words after `--`. A required command may also follow the verb's own options without it."""
    parser.set_defaults(words=[], words_required=required)
    if required:
        parser.add_argument("words", nargs=REMAINDER, metavar="-- COMMAND", help=help_text)
    else:
        parser.description = f"{parser.description or ''} Words after -- are {help_text}."


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the verb and its arguments, and set the environment that chooses the fleet."""
    # By hand: releases of Python differ in what they do with `--` before the words of a command.
    before, after = list(arguments), []
    if "--" in before:
        position = before.index("--")
        before, after = before[:position], before[position + 1 :]
    # Their place does not matter, so that they may also follow `env set NAME=VALUE`.
    chosen, before = fleet_options().parse_known_args(before)
    for option, value in vars(chosen).items():
        os.environ[option.upper()] = value
    values = vars(parser.parse_args(before))
    if "words" in values:
        values["words"] = [*values["words"], *after]
        if values.pop("words_required") and not values["words"]:
            parser.error(f"{values['verb']} needs a command: {parser.prog} {values['verb']} -- COMMAND")
    elif after:
        parser.error(f"{values['verb']} takes no words after --")
    return values.pop("verb"), values
