"""Reading what an LLM wrote: tables of cases, and what holds for any text at all."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.texts.replies import clean, first_number, problem, sentence_end

# Text as LLMs write it: words, and every sign the rules look at.
WORDS = ["A", "b", "dog", "Mr", "e.g", "p.m", "no", "3", "3.5", "é", "ß", "日本", "Sorry,", "I cannot", "...", "\r\n"]
SIGNS = list(".!?\"'“”‘’`*_->)(],: \n\t\u00a0\u2028")
pieces = st.sampled_from(WORDS + SIGNS)
texts = st.lists(pieces, max_size=14).map("".join) | st.text(max_size=30)
stops = st.sampled_from([(), ("\n",), ("\n", "Sentence:"), ("###",)])


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("A dog runs. It is fast.", "A dog runs."),
        ("Does it run? Yes.", "Does it run?"),
        ("It runs! Fast.", "It runs!"),
        ("It runs?! Yes.", "It runs?!"),
        ("It stops... Then it runs.", "It stops..."),
        ("It runs.\nIt is fast.", "It runs."),
        ("It runs. ", "It runs."),
        ("It runs.\u00a0It is fast.", "It runs."),
        ('He said "run." She ran.', 'He said "run."'),
        ("He said 'run.' She ran.", "He said 'run.'"),
        ("He said “run.” She ran.", "He said “run.”"),
        ("He said ‘run.’ She ran.", "He said ‘run.’"),
        ("(It runs.) It is fast.", "(It runs.)"),
        ("It runs.] It", "It runs.]"),
        ("Mr. Lee spoke. He left.", "Mr. Lee spoke."),
        ("MR. LEE spoke. He left.", "MR. LEE spoke."),
        ("Dr. Kim and Mrs. Roy met. They left.", "Dr. Kim and Mrs. Roy met."),
        ("J. R. Smith spoke. He left.", "J. R. Smith spoke."),
        ("É. Zola wrote. He left.", "É. Zola wrote."),
        ("It is 3.5 km long. It winds.", "It is 3.5 km long."),
        ("He owns pets, e.g. a dog. It runs.", "He owns pets, e.g. a dog."),
        ("At 5 p.m. the bus left. It rained.", "At 5 p.m. the bus left."),
        ("The U.S. team won. It rained.", "The U.S. team won."),
        ("He has 3 dogs. They run.", "He has 3 dogs."),
        ("In 2012. Then", "In 2012."),
        ("No. 5 is red. It shines.", "No. 5 is red."),
        ("He said no. She left.", "He said no."),
        ("日本です. Yes", "日本です."),
        ("これは犬です。猫もいます。", "これは犬です。"),
        ("「走れ。」と言った。", "「走れ。」"),
        ("真的吗？！是的。", "真的吗？！"),
        ("هل يجري؟ نعم.", "هل يجري؟"),
        ("کتا دوڑتا ہے۔ وہ تیز ہے۔", "کتا دوڑتا ہے۔"),
        ("कुत्ता दौड़ता है। वह तेज़ है।", "कुत्ता दौड़ता है।"),
        ("ውሻው ይሮጣል። ፈጣን ነው።", "ውሻው ይሮጣል።"),
        ("Շունը վազում է։ Այն արագ է։", "Շունը վազում է։"),
        ("Mbwa anakimbia. Ana kasi.", "Mbwa anakimbia."),
    ],
)
def test_a_sentence_ends_behind_its_last_sign(text: str, first: str) -> None:
    """Stops, questions and exclamations, closing quotes and brackets included; abbreviations and initials go on."""
    end = sentence_end(text)
    assert end is not None
    assert text[:end] == first


@pytest.mark.parametrize(
    "text",
    ["", " ", "A dog runs", "A dog runs.", "Mr. Lee", "J. Smith", "3.5", "e.g. a dog", "a.b", "...", 'He said "run."'],
)
def test_a_sentence_that_nothing_follows_has_not_ended(text: str) -> None:
    """The next token may still belong to it."""
    assert sentence_end(text) is None


@given(texts)
def test_a_sentence_end_stands_between_a_sign_and_white_space(text: str) -> None:
    """Within the text, behind . ! or ? (and closing signs), before white space."""
    end = sentence_end(text)
    if end is not None:
        assert 0 < end < len(text)
        assert text[end].isspace()
        assert text[:end].rstrip("\"')]”’»")[-1] in ".!?"


@given(texts, texts)
def test_more_text_does_not_move_an_end_that_was_found(text: str, more: str) -> None:
    """Generation may stop at the first end: what would have followed cannot change it."""
    end = sentence_end(text)
    if end is not None:
        assert sentence_end(text + more) == end


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        (" A dog runs.", "A dog runs."),
        ("\n\nA dog runs.\nSentence: next", "A dog runs."),
        ("A dog runs. It is fast.", "A dog runs."),
        ('"A dog runs."', "A dog runs."),
        ('"A dog runs." It is fast.', "A dog runs."),
        ('"A dog runs. It is fast."', "A dog runs."),
        ("'A dog runs.'", "A dog runs."),
        ("“A dog runs.”", "A dog runs."),
        ("‘A dog runs.’", "A dog runs."),
        ("**A dog runs.**", "A dog runs."),
        ("`A dog runs.`", "A dog runs."),
        ("- A dog runs.", "A dog runs."),
        ("> A dog runs.", "A dog runs."),
        ("A  dog\truns.", "A dog runs."),
        ("A dog\u00a0runs.", "A dog runs."),
        ("A dog runs. ", "A dog runs."),
        ("Mr. Lee's dog runs.", "Mr. Lee's dog runs."),
        ("Das Café ist geöffnet.", "Das Café ist geöffnet."),
        ("", ""),
        ('"', ""),
        (" \n ", ""),
        # Signs that belong to the sentence stay with it.
        ('He shouted "stop!"', 'He shouted "stop!"'),
        ('"Yes," he said.', '"Yes," he said.'),
        ('"Run," she said, "or stay."', '"Run," she said, "or stay."'),
        ("-5 degrees is cold.", "-5 degrees is cold."),
    ],
)
def test_clean_leaves_the_hypothesis(raw: str, cleaned: str) -> None:
    """The first sentence of the first line, without decoration around the whole of it."""
    assert clean(raw, ("\n",), one_sentence=True) == cleaned


def test_clean_keeps_several_sentences_where_they_are_wanted() -> None:
    """one_sentence=False cuts at stop texts only."""
    assert clean(" It runs. It is fast.###more", ("###", "\n"), one_sentence=False) == "It runs. It is fast."
    assert clean("One.\nTwo.\n\nThree.", ("\n\n",), one_sentence=False) == "One. Two."


@given(texts, stops, st.booleans())
@example('".', ("\n",), True)
@example("_A. b", ("\n",), True)
def test_clean_is_idempotent(raw: str, stop: tuple[str, ...], one_sentence: bool) -> None:
    """What is clean stays as it is."""
    cleaned = clean(raw, stop, one_sentence)
    assert clean(cleaned, stop, one_sentence) == cleaned


@given(texts, stops, st.booleans())
def test_a_clean_text_is_one_line_without_loose_blanks(raw: str, stop: tuple[str, ...], one_sentence: bool) -> None:
    """No line end of any kind, no double blank, none at the ends, no stop text, and nothing the raw text had not."""
    cleaned = clean(raw, stop, one_sentence)
    assert len(cleaned.splitlines()) <= 1
    assert cleaned == " ".join(cleaned.split())
    assert not any(mark in cleaned for mark in stop)
    assert "".join(cleaned.split()) in "".join(raw.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("...", "empty"),
        ("— !", "empty"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m sorry, but I can’t help with that.", "refusal"),
        ("Im sorry, I cannot.", "refusal"),
        ("Sorry, I can't do that.", "refusal"),
        ("I apologize, but no.", "refusal"),
        ("I apologise for the mistake.", "refusal"),
        ("I cannot write that.", "refusal"),
        ("I can’t assist with this request.", "refusal"),
        ("I am unable to generate such a sentence.", "refusal"),
        ("As an AI language model, I have no opinion.", "refusal"),
        ("I do not have enough information.", "refusal"),
        ("I cannot swim.", None),
        ("I won't go to the party.", None),
        ("I can't help but smile.", None),
        ("I can help you.", None),
        ("He is sorry that he cannot help.", None),
        ("As an artist, she paints.", None),
        ("A dog runs.", None),
        ("3", None),
        ("日本", None),
    ],
)
def test_a_problem_is_named(text: str, expected: str | None) -> None:
    """Nothing to read, a refusal in any spelling of the apostrophe, or no problem; sentences about refusing are none."""
    assert problem(text, ended=True) == expected
    assert problem(text, ended=False) == (expected or "runaway")


@given(texts)
def test_a_text_without_letter_or_digit_is_empty_and_only_that(text: str) -> None:
    """Every other problem needs something to read."""
    assert (problem(text, ended=True) == "empty") == (not any(character.isalnum() for character in text))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("3", 3.0),
        ("3.5", 3.5),
        ("3,5", 3.5),
        ("0", 0.0),
        ("5.0", 5.0),
        (" 4.\n", 4.0),
        ("about 3.5 of 5", 3.5),
        ("4/5", 4.0),
        ("Score: 2 (of 5)", 2.0),
        ("**4**", 4.0),
        ("(1)", 1.0),
        ("+2", 2.0),
        ("10", None),
        ("-1", None),
        ("5.1", None),
        ("", None),
        ("none", None),
        ("four", None),
        ("GPT4 says so", None),
        ("4th of 5", 5.0),
        ("2x", None),
        ("3.5th", None),
        ("2.5.1", None),
        ("0.0001", 0.0001),
        ("7, no, 3", None),
    ],
)
def test_the_first_number_counts_if_it_is_in_range(reply: str, expected: float | None) -> None:
    """A first number out of range is no score, whatever follows; parts of words are no numbers."""
    assert first_number(reply, 0.0, 5.0) == expected


@given(st.integers(0, 50), st.sampled_from(["{}", "Score: {}", "{} of 5", "It is {}.", "**{}**\n", "({})"]))
def test_a_score_is_read_out_of_any_frame(tenths: int, frame: str) -> None:
    """Every tenth from 0 to 5."""
    assert first_number(frame.format(tenths / 10), 0.0, 5.0) == tenths / 10


@given(texts)
def test_a_number_read_is_in_range(reply: str) -> None:
    """None, or a value between the two ends."""
    value = first_number(reply, 0.0, 5.0)
    assert value is None or 0.0 <= value <= 5.0


@pytest.mark.parametrize("text", ["犬が走る。", "真的吗？！", "彼は「走れ。」", "هل يجري؟", "कुत्ता दौड़ता है।"])
def test_a_sentence_is_not_over_while_more_of_its_marks_may_come(text: str) -> None:
    assert all(sentence_end(text[:length]) is None for length in range(len(text) + 1))


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("«Собака бежит.»", "Собака бежит."),
        ("„Der Hund rennt.“", "Der Hund rennt."),
        ("「犬が走る。」猫", "犬が走る。"),
    ],
)
def test_quotes_of_other_languages_are_taken_off(raw: str, kept: str) -> None:
    assert clean(raw, ("\n",), True) == kept


@pytest.mark.parametrize(
    ("reply", "value"),
    [("4分", 4.0), ("得分：3.5分", 3.5), ("类似度は2です", 2.0), ("٣", 3.0), ("3점", 3.0), ("12分", None)],
)
def test_a_number_is_read_beside_letters_of_scripts_without_blanks(reply: str, value: float | None) -> None:
    assert first_number(reply, 0, 5) == value


def test_a_refusal_is_known_by_how_the_prompt_set_says_it_begins() -> None:
    refusals = ("Samahani", "Siwezi kusaidia")
    assert problem("SAMAHANI, sijui.", ended=True, refusals=refusals) == "refusal"
    assert problem("Siwezi kusaidia na hilo.", ended=True, refusals=refusals) == "refusal"
    assert problem("Siwezi kuogelea.", ended=True, refusals=refusals) is None
    assert problem("Samahani, sijui.", ended=True) is None
    assert problem("I cannot help with that.", ended=True, refusals=refusals) == "refusal"
