"""Writes the list of troubles in docs/operations.md from tools/fleet/kinds.py: `make docs`."""

import re
import textwrap

from tools.fleet.context import ROOT
from tools.fleet.kinds import KINDS

PAGE = ROOT / "docs/operations.md"
BEGIN = "<!-- Generated from tools/fleet/kinds.py by `make docs`; a change made here is lost. -->\n"
END = "<!-- End of the generated list. -->\n"


def entries(text: str) -> str:
    """Return one entry for each kind, with links to the sections of the page that `text` is."""
    titles = {title.lower().replace(" ", "-"): title for title in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}
    return "".join(
        _wrapped(
            f"- `{_words(kind.sentence)}` ({kind.name}): "
            + re.sub(
                r"docs/operations\.md#([\w-]+)", lambda link: f"[{titles[link[1]]}](#{link[1]})", _words(kind.step)
            )
        )
        for kind in KINDS
    )


def _words(template: str) -> str:
    """Show names in braces as capitals, and leave out those that continue a word, because they may be empty."""
    return re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), re.sub(r"(?<=\w)\{\w+\}", "", template))


def _wrapped(entry: str) -> str:
    """Wrap an entry at 120 characters, but not inside of code."""
    entry = re.sub("`[^`]+`", lambda code: code[0].replace(" ", "\0"), entry)
    return textwrap.fill(f"{entry}.\n", 120, subsequent_indent="  ", break_on_hyphens=False).replace("\0", " ") + "\n"


def page() -> str:
    """Return the page with the current list."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{BEGIN}\n{entries(text)}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(page())
