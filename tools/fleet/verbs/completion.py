"""`completion`: a script for bash, made from the parser."""

from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator

from tools.fleet.context import echo

SCRIPT = r"""# Completion of bin/fleet for bash: eval "$(bin/fleet completion bash)"
_fleet_words() {
    case $1 in
%s
    esac
}
_fleet() {
    local path="" index clone
    COMPREPLY=()
    if [[ ${COMP_WORDS[COMP_CWORD - 1]} == --inventory ]]; then
        clone=$(dirname "$(dirname "$(readlink -f "$(type -P "${COMP_WORDS[0]}")")")")
        COMPREPLY=($(compgen -W "$(cd "$clone/inventories" && ls -d -- */group_vars | cut -d/ -f1)" -- "$2"))
        return
    fi
    for ((index = 1; index < COMP_CWORD; index++)); do
        [[ ${COMP_WORDS[index]} != -- ]] || return
        if [[ -n $(_fleet_words "${path:+$path }${COMP_WORDS[index]}") ]]; then
            path="${path:+$path }${COMP_WORDS[index]}"
        fi
    done
    COMPREPLY=($(compgen -W "$(_fleet_words "$path")" -- "$2"))
}
complete -F _fleet fleet
"""


def words(parser: ArgumentParser, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield each verb with the words that may follow it."""
    found: list[str] = []
    for action in parser._actions:
        found += action.option_strings
        if isinstance(action, _SubParsersAction):
            for name, own in action.choices.items():
                yield from words(own, f"{path} {name}".strip())
        found += [str(choice) for choice in action.choices or [] if not action.option_strings]
    yield path, found


def script(parser: ArgumentParser) -> str:
    """Return the script."""
    return SCRIPT % "\n".join(f"    {path!r}) echo '{' '.join(found)}' ;;" for path, found in sorted(words(parser)))


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `completion`."""
    parser.add_argument("shell", choices=["bash"])


def print_script(parser: ArgumentParser, shell: str) -> None:
    """Print the script for a shell: bash, the only choice."""
    assert shell == "bash"
    echo(script(parser))
