from __future__ import annotations

import time

import pytest

from app.news import text
from app.news.text import keywords, summary

STORY = (
    "The harbour was closed on Monday after a storm. Waves broke over the harbour wall. It was cold.\n\n"
    "Fishermen waited for the storm to pass. The harbour master said that the wall held."
)
ROVER = (
    "The rover Perseverance has found rocks in Jezero Crater that hold organic molecules. Scientists said on Tuesday that the organic "
    "molecules do not prove that there was life.\n\n"
    "Dr. Stack said that the rocks formed in water. The U.S. Senate was told on Monday. It was a warm day in Houston.\n\n"
    "The rover Perseverance has found rocks in the Jezero Crater that hold the organic molecules. Lunch was served at noon. "
    "A river once ran into Jezero Crater, and rocks from its bed will be brought to Earth by the next rover."
)


def test_a_summary_is_made_of_the_articles_own_sentences() -> None:
    found = summary("Harbour closed", STORY)
    assert found.startswith("The harbour was closed on Monday after a storm.")
    assert all(sentence.strip(". ") in STORY for sentence in found.split(". "))


def test_the_central_sentences_are_chosen_and_none_says_the_same_again() -> None:
    found = summary("Rover finds organic molecules", ROVER)
    assert found.count("has found rocks") == 1
    assert not any(aside in found for aside in ("Lunch", "warm day", "Senate"))


def test_the_title_says_which_sentence_matters() -> None:
    content = "Rain fell in the north. Trains were late. The council sold the old brewery. Buses were full. Schools were open."
    assert "brewery" in summary("Council sells brewery", content, sentences=1)
    assert "Buses" in summary("Full buses", content, sentences=1)


def test_abbreviations_and_wrapped_lines_end_no_sentence() -> None:
    content = "The report by Dr. Ada Marsh of the U.S. Weather Service says that the river\nwill rise until Friday. Nobody was hurt."
    assert summary("River rises", content, sentences=1) == (
        "The report by Dr. Ada Marsh of the U.S. Weather Service says that the river will rise until Friday."
    )


def test_a_summary_has_room_for_whole_sentences_or_is_cut_between_words() -> None:
    long = "The " + "very long " * 60 + "sentence has no end."
    assert summary("x", f"{long} A short sentence follows.") == "A short sentence follows."
    cut = summary("x", long)
    assert len(cut) <= text.LONGEST_SUMMARY
    assert cut.endswith(("long…", "very…"))


def test_keywords_are_what_it_is_about() -> None:
    assert keywords("Harbour closed", STORY)[0] == "harbour"
    assert not {"the", "was", "for"} & set(keywords("Harbour closed", STORY))


def test_keywords_are_phrases_where_words_belong_together() -> None:
    found = keywords("Rover finds organic molecules", ROVER)
    assert {"organic molecules", "jezero crater"} <= set(found)
    words = [word for phrase in found for word in phrase.split()]
    assert len(words) == len(set(words)), "no word twice"


def test_the_same_text_has_the_same_summary_and_keywords() -> None:
    assert {(summary("t", ROVER), *keywords("t", ROVER)) for _ in range(5)} == {
        (summary("t", ROVER), *keywords("t", ROVER))
    }
    composed, combined = "Café Zoë. The café is closed.", "Cafe\u0301 Zoe\u0308. The cafe\u0301 is closed."
    assert keywords("x", composed) == keywords("x", combined)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "   ",
        "…",
        "one",
        "x" * 5000,
        "мир дружба. Мир победит.",
        "平和。戦争。平和条約。",
        "\u202eabc\u202c.",
        "🙂 🙂",
    ],
)
def test_any_text_can_be_processed(content: str) -> None:
    assert len(summary(content, content)) <= text.LONGEST_SUMMARY
    assert all(0 < len(word) <= text.LONGEST_KEYWORD for word in keywords(content, content))


@pytest.mark.parametrize(
    "content",
    [
        " ".join(f"Word{number} other{number % 700} thing{number % 31}." for number in range(4000)),
        "word " * 20_000,
        "x" * 100_000,
        "a." * 50_000,
        "'a" * 50_000,
        "“ " * 50_000,
        "a\n" * 50_000,
        "平和。戦争。" * 16_000,
        "A. " * 33_000,
    ],
    ids=lambda content: content[:8],
)
def test_a_long_text_takes_no_long_time(content: str) -> None:
    started = time.process_time()
    summary("A title", content)
    keywords("A title", content)
    assert time.process_time() - started < 2.0, "0.05 s where it was written"


def test_what_comes_after_the_limits_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    cosine = text._cosine
    monkeypatch.setattr(text, "_cosine", lambda one, other: compared.append(1) or cosine(one, other))  # type: ignore[func-returns-value]
    summary("A title", " ".join(f"Sentence number{number} is about thing{number % 7}." for number in range(5000)))
    assert len(compared) <= text.MOST_SENTENCES * (text.MOST_SENTENCES + 1) / 2
