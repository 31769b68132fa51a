"""What people may send as text: what no tier can keep, or what would show readers something else than is written, is refused."""

from __future__ import annotations

import unicodedata

# Unicode's Bidi_Control: in one line they can turn around what stands after them, on pages that are not the author's.
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LAYOUT = frozenset("\t\n\r")


def fault(text: str, *, longest: int, one_line: bool = False) -> str | None:
    """Return what is wrong with a text, in one sentence, or None. One line, as a title is, takes less than paragraphs do."""
    if not text.strip():
        return "Must not be blank."
    if len(text) > longest:
        return f"Must not be longer than {longest:,} characters; it has {len(text):,}."
    if "\0" in text:
        return "Must not contain NUL characters."
    if any(unicodedata.category(character) == "Cs" for character in text):
        return "Must be valid Unicode."
    if one_line and not BIDI_CONTROLS.isdisjoint(text):
        return "Must not contain marks that change the direction of text."
    if any(unicodedata.category(character) == "Cc" and (one_line or character not in _LAYOUT) for character in text):
        return "Must not contain control characters."
    return None
