"""Checks of plain text: refuses text that cannot be stored or that would look different from its content."""

import unicodedata

# Unicode's property Bidi_Control. In a title these characters could reverse the text that follows the title.
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LAYOUT = frozenset("\t\n\r")
# Letters and symbols without ink: fillers of Hangul, the blank of Braille, and a note without a head.
_WITHOUT_INK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159")


def is_visible(text: str) -> bool:
    """Return whether a reader can see something: not only blanks, format characters and combining marks."""
    return any(unicodedata.category(character)[0] in "LNPS" for character in text if character not in _WITHOUT_INK)


def fault(text: str, *, max_length: int, one_line: bool = False) -> str | None:
    """Return the fault of a text as a sentence, or None. `one_line` is for titles and refuses more characters."""
    if not text.strip():
        return "Must not be blank."
    if len(text) > max_length:
        return f"Must not be longer than {max_length:,} characters; it has {len(text):,}."
    if "\0" in text:
        return "Must not contain NUL characters."
    if any(unicodedata.category(character) == "Cs" for character in text):
        return "Must be valid Unicode."
    if one_line and not BIDI_CONTROLS.isdisjoint(text):
        return "Must not contain characters that change the direction of text."
    if any(unicodedata.category(character) == "Cc" and (one_line or character not in _LAYOUT) for character in text):
        return "Must not contain control characters."
    return None if is_visible(text) else "Must not be blank."
