"""Summary and keywords by counting words: the sentences that hold most of what an article is about."""

from __future__ import annotations

import math
import re
from collections import Counter

# Words that say nothing of what a text is about.
_STOP_WORDS = """
    a about above after again against all almost also although always am among an and another any are around as at away back be
    became because become been before behind being below between both but by came can cannot could did do does doing done down
    during each either else enough even ever every few first for from further get give given go goes going gone got had has have
    having he her here hers him his how however i if in instead into is it its itself just keep kept last later least less let like
    made make makes many may me might mine more most much must my near never new next no nobody none nor not nothing now of off
    often on once one only or other others our out over own perhaps put quite rather really said same saw say says see seen several
    shall she should since so some something soon still such take taken than that the their them then there these they thing this
    those though three through thus to together told too took toward two under until up upon us use used very want was way we week
    well went were what when where whether which while who whole whom whose why will with within without would year years yet you
    your
    """
STOP_WORDS = frozenset(_STOP_WORDS.split())
LONGEST_SUMMARY = 400

# Quotation marks and apostrophes as typography writes them.
_OPENING, _CLOSING = "“\u2018\"'(", "”\u2019\"')"
_SENTENCE_END = re.compile(rf"(?<=[.!?…])[{_CLOSING}]*\s+(?=[{_OPENING}]?[A-ZÀ-Þ0-9])")
_WORD = re.compile("[^\\W\\d_][^\\W_'\u2019-]*(?:['\u2019-][^\\W_]+)*")


def summary(content: str, sentences: int = 2) -> str:
    """Return the sentences that stand for the whole, in their order and their own words."""
    candidates = [sentence for paragraph in content.splitlines() for sentence in _SENTENCE_END.split(paragraph.strip()) if sentence]
    weights = Counter(_words(content))
    ranked = sorted(range(len(candidates)), key=lambda index: _score(candidates[index], index, weights), reverse=True)
    chosen = " ".join(candidates[index] for index in sorted(ranked[:sentences]))
    return chosen if len(chosen) <= LONGEST_SUMMARY else chosen[: LONGEST_SUMMARY - 1].rsplit(" ", 1)[0] + "…"


def keywords(title: str, content: str, count: int = 6) -> list[str]:
    """Return the words that occur most often, those of the title first among equals."""
    weights = Counter(_words(content))
    weights.update(dict.fromkeys(_words(title), 2))
    return [word for word, _ in sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:count]]


def _words(content: str) -> list[str]:
    return [word for word in (found.lower() for found in _WORD.findall(content)) if len(word) > 2 and word not in STOP_WORDS]


def _score(sentence: str, index: int, weights: Counter[str]) -> float:
    words = _words(sentence)
    if not words:
        return 0.0
    # By the root of the length: neither the longest sentence wins nor the shortest. News tell the essential first.
    return sum(weights[word] for word in words) / math.sqrt(len(words)) * (1.3 if index == 0 else 1.0)
