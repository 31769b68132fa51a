"""Summary and keywords of an article: its first sentences and its most frequent terms."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise

_STOP_WORDS = """
    a about above after again against all almost also although always am among an and another any anybody are around
    as at away back be became because become been before behind being below between both but by call called calls came
    can cannot could did do does doing done down during each either else enough even ever every everybody few first
    for from further get give given go goes going gone got had has have having he her here hers him his how however i
    if in instead into is it its itself just keep kept last later least less let like made make makes many may me
    might mine more most much must my near never new next no nobody none nor not nothing now of off often on once one
    only or other others our out over own perhaps put quite rather really said same saw say says see seen several
    shall she should since so some somebody something soon still such take taken than that the their them then there
    these they thing this those though three through thus to together told too took toward two under until up upon us
    use used very want was way we week well went were what when where whether which while who whole whom whose why
    will with within without would year years yet you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
MAX_SUMMARY_LENGTH = 400
MAX_KEYWORD_LENGTH = 40
# Limits the time for one article: the beginning of a long text is enough.
MAX_CONTENT_READ = 30_000
# The title names the subject, so its words count twice.
TITLE_WEIGHT = 2
# Two neighbouring words are a phrase if they occur together this often, and at least half the times that either word
# occurs.
MIN_PHRASE_COUNT = 2

_OPENING, _CLOSING = "“\u2018\"'(", "”\u2019\"')"
_SENTENCE_END = re.compile(rf"(?<=[.!?…])[{_CLOSING}]*\s+(?=[{_OPENING}]?[A-ZÀ-ÞА-ЯΑ-Ω0-9])|(?<=[。\uff01\uff1f])")
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:[A-Z]|[A-Z]\.[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Sen|Gov|Gen|No|vs|e\.g|i\.e)\.$")
# Words, and every other character as a separate token, so that words on both sides of it are no neighbours.
_TOKEN = re.compile("[^\\W\\d_][^\\W_'\u2019-]*(?:['\u2019-][^\\W_]+)*|\\S")


def summary(content: str, sentences: int = 2) -> str:
    """Return the first sentences, as many as fit."""
    chosen = ""
    with_words = (sentence for sentence in _sentences(content[:MAX_CONTENT_READ]) if any(map(str.isalnum, sentence)))
    for sentence in islice(with_words, sentences):
        longer = f"{chosen} {sentence}".strip()
        if chosen and len(longer) > MAX_SUMMARY_LENGTH:
            break
        chosen = longer
    return shorten(chosen, MAX_SUMMARY_LENGTH)


def keywords(title: str, content: str, count: int = 6) -> list[str]:
    """Return the most frequent words and phrases, best first. No word occurs in two of them."""
    tokens = _tokens(f"{title}.\n{content[:MAX_CONTENT_READ]}")
    words = Counter(token for token in tokens if _is_term(token))
    in_title = set(_tokens(title))
    scores = {word: times * (TITLE_WEIGHT if word in in_title else 1) for word, times in words.items()}
    for (one, other), times in Counter(pairwise(tokens)).items():
        is_phrase = one != other and one in words and other in words
        if is_phrase and times >= MIN_PHRASE_COUNT and 2 * times >= max(words[one], words[other]):
            scores[f"{one} {other}"] = scores[one] + scores[other]
    best: list[str] = []
    used: set[str] = set()
    for phrase in sorted(scores, key=lambda phrase: (-scores[phrase], phrase)):
        if len(phrase) <= MAX_KEYWORD_LENGTH and used.isdisjoint(phrase.split()):
            best.append(phrase)
            used.update(phrase.split())
    return best[:count]


def shorten(text: str, limit: int) -> str:
    """Cut a text that is too long, between words."""
    return text if len(text) <= limit else text[: limit - 1].rsplit(None, 1)[0] + "…"


def _sentences(content: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", unicodedata.normalize("NFC", content)):
        pending = ""
        for part in _SENTENCE_END.split(" ".join(paragraph.split())):
            pending = f"{pending} {part}".strip()
            # A sentence that is longer than a summary is cut anyway.
            if len(pending) > MAX_SUMMARY_LENGTH or not _ABBREVIATION.search(pending[-8:]):
                yield pending
                pending = ""
        yield pending


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(unicodedata.normalize("NFC", text).lower())


def _is_term(token: str) -> bool:
    # A word of Chinese or Japanese can have two characters.
    return token not in STOP_WORDS and (len(token) > 2 or (len(token) == 2 and not token[0].isascii()))
