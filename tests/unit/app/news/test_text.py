import time

import pytest

from app.news import text
from app.news.text import keywords, summary

STORY = (
    "The harbour was closed on Monday after a storm. Waves broke over the harbour wall. It was cold.\n\n"
    "Fishermen waited for the storm to pass. The harbour master said that the wall held."
)
ROVER = (
    "The rover Perseverance has found rocks in Jezero Crater that hold organic molecules. Scientists said on Tuesday "
    "that the organic molecules do not prove that there was life.\n\n"
    "Dr. Stack said that the rocks formed in water. The U.S. Senate was told on Monday. It was a warm day in "
    "Houston.\n\n"
    "The rover Perseverance has found rocks in the Jezero Crater that hold the organic molecules. Lunch was served at "
    "noon. "
    "A river once ran into Jezero Crater, and rocks from its bed will be brought to Earth by the next rover."
)


def test_a_summary_is_the_first_sentences() -> None:
    assert summary(STORY) == "The harbour was closed on Monday after a storm. Waves broke over the harbour wall."
    assert summary("* * *\n\nTitle\n\nRain fell.") == "Title Rain fell."


def test_abbreviations_and_wrapped_lines_do_not_end_a_sentence() -> None:
    content = (
        "The report by Dr. Ada Marsh of the U.S. Weather Service says that the river\nwill rise until Friday. "
        "Nobody was hurt."
    )
    assert summary(content, sentences=1) == (
        "The report by Dr. Ada Marsh of the U.S. Weather Service says that the river will rise until Friday."
    )


def test_a_summary_has_complete_sentences_or_is_cut_between_words() -> None:
    long = "The " + "very long " * 60 + "sentence has no end."
    assert summary(f"A short sentence. {long}") == "A short sentence."
    cut = summary(long)
    assert len(cut) <= text.MAX_SUMMARY_LENGTH
    assert cut.endswith(("long…", "very…"))


def test_keywords_are_frequent_words_without_stop_words() -> None:
    assert keywords("Harbour closed", STORY)[0] == "harbour"
    assert not {"the", "was", "for"} & set(keywords("Harbour closed", STORY))


def test_words_that_occur_together_become_one_keyword() -> None:
    found = keywords("Rover finds organic molecules", ROVER)
    assert {"organic molecules", "jezero crater"} <= set(found)
    words = [word for phrase in found for word in phrase.split()]
    assert len(words) == len(set(words)), "no word may occur twice"


def test_unicode_spelling_does_not_change_the_keywords() -> None:
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
    assert len(summary(content)) <= text.MAX_SUMMARY_LENGTH
    assert all(0 < len(word) <= text.MAX_KEYWORD_LENGTH for word in keywords(content, content))


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
def test_a_long_text_is_processed_quickly(content: str) -> None:
    started = time.process_time()
    summary(content)
    keywords("A title", content)
    assert time.process_time() - started < 2.0, "measured: below 0.1 s"
