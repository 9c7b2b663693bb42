"""The references that `gen` is measured against write what the slow loop of eq. 1-2 writes: a race is between equals."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import tiny

from benchmarks import generation
from stages.models.llm.model import LanguageModel
from stages.models.llm.request import Line, Noise, Prompt

TOKENS = 10
OMEGA = 0.3
OWN = [f"The same meaning: {premise} =" for premise in tiny.premises()]
NOISE = [f"Something that cannot be true: {premise} =" for premise in tiny.premises()]


@pytest.fixture(params=["llm", "t5"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    found: LanguageModel = request.getfixturevalue(request.param)
    return found


def referred(model: LanguageModel, ends: frozenset[int], batch: int = 5) -> list[str]:
    write = generation.two_pass if model.encoder_decoder else generation.guided
    return write(model.model, model.tokenizer, OWN, NOISE, omega=OMEGA, batch=batch, max_new_tokens=TOKENS, ends=ends)


def slowly(model: LanguageModel, own: str, noise: str, ends: frozenset[int]) -> str:
    """argmax(l - omega * noise), token by token, everything computed anew."""
    tokens: list[int] = []
    while len(tokens) < TOKENS and not ends & set(tokens):
        scores = model.alone(Prompt(own), tokens) - OMEGA * model.alone(Prompt(noise), tokens)
        tokens.append(int(scores.argmax()))
    return model.text(tokens).partition("\n")[0]


def ours(model: LanguageModel) -> Sequence[str]:
    prompts = [Prompt(text) for pair in zip(OWN, NOISE, strict=True) for text in pair]
    lines = [Line(2 * place, (Noise(2 * place + 1, OMEGA),), "") for place in range(len(OWN))]
    drafts = model.write(prompts, lines, TOKENS, ends=lambda text: "\n" in text)
    return [draft.text.partition("\n")[0] for draft in drafts]


@pytest.mark.parametrize("batch", [1, 5, 12])
def test_the_references_write_the_slow_argmax_and_so_do_we(model: LanguageModel, batch: int) -> None:
    ends = generation.line_ends(model.model, model.tokenizer)
    expected = [slowly(model, own, noise, ends) for own, noise in zip(OWN, NOISE, strict=True)]
    assert len(set(expected)) > len(expected) / 2
    assert referred(model, ends, batch) == expected == ours(model)


def test_a_line_ends_at_any_token_with_a_newline(model: LanguageModel) -> None:
    ends = generation.line_ends(model.model, model.tokenizer)
    assert model.eos < ends
    assert all("\n" in model.tokenizer.decode([token]) for token in ends - model.eos)
    assert set(model.tokenizer("one\ntwo", add_special_tokens=False).input_ids) & ends


def test_a_row_ends_at_its_own_end_token_while_others_go_on(model: LanguageModel) -> None:
    """With tokens that are often written declared ends, rows stop at different steps."""
    free = [slowly(model, own, noise, frozenset()) for own, noise in zip(OWN, NOISE, strict=True)]
    common = {token for text in free[:4] for token in model.tokenizer(text, add_special_tokens=False).input_ids[2:4]}
    ends = generation.line_ends(model.model, model.tokenizer) | common
    expected = [slowly(model, own, noise, ends) for own, noise in zip(OWN, NOISE, strict=True)]
    assert len({len(text) for text in expected}) > 2
    assert referred(model, ends) == expected
