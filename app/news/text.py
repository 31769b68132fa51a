"""Summary and keywords of an article, taken from its own words: no model, no download, and always the same for the same text.

A summary's sentences are ranked by LexRank (Erkan and Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization",
2004): a sentence counts that resembles many others that count. It is biased (Otterbacher, Erkan and Radev, 2005) towards the title and
the beginning, and sentences are chosen by maximal marginal relevance (Carbonell and Goldstein, 1998), so that none repeats another.
Keywords are ranked by TextRank (Mihalcea and Tarau, 2004): a word counts that stands beside words that count.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from itertools import combinations, pairwise

# Words that say nothing of what a text is about.
_STOP_WORDS = """
    a about above after again against all almost also although always am among an and another any anybody are around as at away back
    be became because become been before behind being below between both but by call called calls came can cannot could did do does
    doing done down during each either else enough even ever every everybody few first for from further get give given go goes going
    gone got had has have having he her here hers him his how however i if in instead into is it its itself just keep kept last
    later least less let like made make makes many may me might mine more most much must my near never new next no nobody none nor
    not nothing now of off often on once one only or other others our out over own perhaps put quite rather really said same saw say
    says see seen several shall she should since so some somebody something soon still such take taken than that the their them then
    there these they thing this those though three through thus to together told too took toward two under until up upon us use used
    very want was way we week well went were what when where whether which while who whole whom whose why will with within without
    would year years yet you your
    """
STOP_WORDS = frozenset(_STOP_WORDS.split())
LONGEST_SUMMARY = 400
LONGEST_KEYWORD = 40
# What is looked at: the time that an article takes is bounded, and what it is about is said by then.
MOST_SENTENCES = 150
MOST_WORDS = 4000
LONGEST_SENTENCE = 600

# PageRank's share of following a link, and its rounds: after these no place in the order of a thousand nodes changes.
DAMPING = 0.85
ROUNDS = 30
# News tell the essential first.
LEAD = 1.5
# How much a sentence's rank counts against its likeness to what was chosen before, and the likeness from which it adds nothing.
RELEVANCE = 0.6
SAME = 0.45
# Times that a phrase must occur to be one, and its part of its words' occurrences.
PHRASE_OCCURS = 2
PHRASE_SHARE = 0.5

# Quotation marks and apostrophes as typography writes them.
_OPENING, _CLOSING = "“\u2018\"'(", "”\u2019\"')"
_SENTENCE_END = re.compile(rf"(?<=[.!?…])[{_CLOSING}]*\s+(?=[{_OPENING}]?[A-ZÀ-ÞА-ЯΑ-Ω0-9])|(?<=[。\uff01\uff1f])")
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:[A-Z]|[A-Z]\.[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Sen|Gov|Gen|No|vs|e\.g|i\.e)\.$")
_WORD = re.compile("[^\\W\\d_][^\\W_'\u2019-]*(?:['\u2019-][^\\W_]+)*")
_LINE_OF_PROSE = 50

Graph = list[dict[int, float]]


def summary(title: str, content: str, sentences: int = 2) -> str:
    """Return the sentences that stand for the whole, in their order and their own words."""
    candidates = _sentences(content)
    words = [_words(sentence) for sentence in candidates]
    vectors = _vectors([*words, _words(title)])
    about = vectors.pop()
    graph: Graph = [{} for _ in candidates]
    for one, other in combinations(range(len(candidates)), 2):
        if likeness := _cosine(vectors[one], vectors[other]):
            graph[one][other] = graph[other][one] = likeness
    ranks = _rank(graph, [3 * _cosine(vector, about) + 1 / (1 + place) for place, vector in enumerate(vectors)])
    ranks[:1] = [LEAD * rank for rank in ranks[:1]]
    chosen = _choose(candidates, graph, ranks, sentences)
    if not chosen:
        return _cut(candidates[0]) if candidates else ""
    return " ".join(candidates[at] for at in sorted(chosen))


def keywords(title: str, content: str, count: int = 6) -> list[str]:
    """Return the words and phrases that say what it is about, the first one most."""
    in_title, runs = set(_words(title)), _runs(f"{title}.\n{content}")
    occurrences = Counter(word for run in runs for word in run)
    numbers = {word: number for number, word in enumerate(occurrences)}
    graph: Graph = [{} for _ in numbers]
    for run in runs:
        for one, other in pairwise(numbers[word] for word in run):
            if one != other:
                graph[one][other] = graph[other][one] = graph[one].get(other, 0.0) + 1
    # A word that stands alone has no neighbours: how often it occurs, and whether the title has it, counts too.
    ranks = _rank(graph, [occurred * (2.0 if word in in_title else 1.0) for word, occurred in occurrences.items()])
    weights = {word: ranks[number] * math.sqrt(occurrences[word]) for word, number in numbers.items()}
    best: list[str] = []
    for phrase in sorted(_phrases(runs, occurrences, weights).items(), key=lambda item: (-item[1], item[0])):
        words = phrase[0].split()
        # Of a phrase and its words the better one is enough.
        if not any(set(words) & set(taken.split()) for taken in best):
            best.append(phrase[0])
        if len(best) == count:
            break
    return best


def _phrases(runs: list[list[str]], occurrences: Counter[str], weights: dict[str, float]) -> dict[str, float]:
    """Return the candidates for keywords with their weights: words, and pairs of them that mostly occur together."""
    pairs = Counter(pair for run in runs for pair in pairwise(run) if pair[0] != pair[1])
    phrases = {word: weight for word, weight in weights.items() if len(word) <= LONGEST_KEYWORD}
    for (one, other), together in pairs.items():
        often = together >= PHRASE_OCCURS and together >= PHRASE_SHARE * max(occurrences[one], occurrences[other])
        if often and len(one) + len(other) < LONGEST_KEYWORD:
            phrases[f"{one} {other}"] = weights[one] + weights[other]
    return phrases


def _sentences(content: str) -> list[str]:
    """Return the first sentences of a text: those that say something, none longer than anybody reads."""
    found: list[str] = []
    for paragraph in _paragraphs(content):
        begun = ""
        for part in _SENTENCE_END.split(paragraph):
            begun = f"{begun} {part}".strip()
            if len(begun) > LONGEST_SENTENCE or not _ABBREVIATION.search(part[-8:]):
                found.append(begun[:LONGEST_SENTENCE])
                begun = ""
        found.append(begun[:LONGEST_SENTENCE])
        if len(found) > 2 * MOST_SENTENCES:
            break
    # Once each: a sentence that is repeated would vote for itself.
    return [sentence for sentence in dict.fromkeys(found) if any(character.isalnum() for character in sentence)][
        :MOST_SENTENCES
    ]


def _paragraphs(content: str) -> list[str]:
    """Return paragraphs, each on one line: a long line that no sentence ends was wrapped by an editor."""
    paragraphs: list[str] = []
    wrapped = False
    for line in map(str.strip, unicodedata.normalize("NFC", content).splitlines()):
        if wrapped and line:
            paragraphs[-1] += f" {line}"
        else:
            paragraphs.append(line)
        wrapped = len(line) >= _LINE_OF_PROSE
    return paragraphs


def _runs(content: str) -> list[list[str]]:
    """Return words that stand side by side: what is between two stop words, or two marks."""
    runs: list[list[str]] = []
    last = None
    text = unicodedata.normalize("NFC", content)
    for number, match in enumerate(_WORD.finditer(text)):
        if number >= MOST_WORDS:
            break
        word = match[0].lower()
        if _says_something(word):
            if last is not None and not text[last : match.start()].strip(" "):
                runs[-1].append(word)
            else:
                runs.append([word])
            last = match.end()
        else:
            last = None
    return runs


def _words(content: str) -> list[str]:
    text = unicodedata.normalize("NFC", content)
    return [word for word in (found.lower() for found in _WORD.findall(text)) if _says_something(word)]


def _says_something(word: str) -> bool:
    # In scripts without letters two characters are a word.
    return word not in STOP_WORDS and (len(word) > 2 or (len(word) == 2 and not word[0].isascii()))


def _vectors(sentences: list[list[str]]) -> list[dict[str, float]]:
    """Return sentences as words with weights of unit length: the rarer a word in the text, the more it tells."""
    holding = Counter(word for words in sentences for word in set(words))
    vectors = []
    for words in sentences:
        vector = {word: often * math.log(1 + len(sentences) / holding[word]) for word, often in Counter(words).items()}
        length = math.sqrt(sum(weight * weight for weight in vector.values()))
        vectors.append({word: weight / length for word, weight in vector.items()})
    return vectors


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    if len(one) > len(other):
        one, other = other, one
    return sum(weight * other[word] for word, weight in one.items() if word in other)


def _rank(graph: Graph, bias: list[float]) -> list[float]:
    """Return the nodes' PageRank over weighted links, the highest as 1."""
    whole = sum(bias) or 1.0
    start = [value / whole for value in bias]
    out = [sum(links.values()) for links in graph]
    ranks = start
    for _ in range(ROUNDS):
        ranks = [
            (1 - DAMPING) * start[at]
            + DAMPING * sum(weight * ranks[other] / out[other] for other, weight in links.items())
            for at, links in enumerate(graph)
        ]
    highest = max(ranks, default=0.0) or 1.0
    return [value / highest for value in ranks]


def _choose(candidates: list[str], graph: Graph, ranks: list[float], count: int) -> list[int]:
    """Return the sentences that are best together and find room."""
    chosen: list[int] = []
    room = LONGEST_SUMMARY
    while len(chosen) < count:
        likenesses = [max((links.get(other, 0.0) for other in chosen), default=0.0) for links in graph]
        fitting = [
            at
            for at, sentence in enumerate(candidates)
            if at not in chosen and len(sentence) <= room and likenesses[at] < SAME
        ]
        if not fitting:
            break
        best = max(fitting, key=lambda at: (RELEVANCE * ranks[at] - (1 - RELEVANCE) * likenesses[at], -at))
        chosen.append(best)
        room -= len(candidates[best]) + 1
    return chosen


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= LONGEST_SUMMARY else sentence[: LONGEST_SUMMARY - 1].rsplit(" ", 1)[0] + "…"
