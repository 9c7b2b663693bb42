"""Lines written side by side: which begins when, and that nobody's text depends on it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stages.models import catalog, loading
from stages.models.llm.cache import GrowingLayer
from stages.models.llm.model import LanguageModel
from stages.models.llm.request import Draft, Line, Noise, Prompt, Sampling
from stages.models.llm.sampling import best

TOKENS = 9
START = "Write a sentence.\nSentence: "


@pytest.fixture(scope="module", params=["t5", "gpt2", "llama"])
def llm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = getattr(tiny, f"save_tiny_{request.param}")(tmp_path_factory.mktemp("llm") / request.param)
    return loading.language_model(catalog.locate(str(folder), "llm"), torch.device("cpu"), "float32")


def asked(premises: Sequence[str]) -> tuple[list[Prompt], list[Line]]:
    """Two prompts and two lines a premise, one of which has no noise."""
    prompts, lines = [], []
    for place, premise in enumerate(premises):
        prompts += [Prompt(f"{start}{premise}\nSo:", len(start)) for start in (START, f"Not: {START}")]
        own = 2 * place
        lines += [Line(own, (Noise(own + 1, 0.3),), f"+/{premise}"), Line(own + 1, (), f"-/{premise}")]
    return prompts, lines


def many() -> list[str]:
    texts = [f"{first} {second}" for first in tiny.premises()[:6] for second in tiny.premises()[3:7]]
    random.Random(0).shuffle(texts)
    return texts


def short(text: str) -> bool:
    """Ends some texts early and others late, by what they say."""
    return len(text) > 3 and sum(map(ord, text)) % 3 == 0


@pytest.mark.parametrize("sampling", [None, Sampling(seed=3, temperature=0.8, top_p=0.9)])
@pytest.mark.parametrize("at_once", [1, 2, 5, 16, 1000])
def test_every_line_is_written_once_and_as_if_all_were_written_together(
    llm: LanguageModel, at_once: int, sampling: Sampling | None
) -> None:
    prompts, lines = asked(many())
    together = llm.write(prompts, lines, TOKENS, short, sampling)
    assert len({draft.tokens for draft in together}) > 3  # else nobody would have waited for anybody
    parts = list(llm.writing(prompts, lines, TOKENS, short, sampling, at_once))
    assert all(parts)
    found = [pair for part in parts for pair in part]
    assert sorted(place for place, _ in found) == list(range(len(lines)))
    assert [draft for _, draft in sorted(found)] == together


def test_the_next_line_begins_as_soon_as_one_ends(llm: LanguageModel) -> None:
    """With four slots, as many forward passes as four slots need that are never idle, not as the slowest of each four."""
    prompts, lines = asked(many())
    lengths: list[int] = []
    fed: list[int] = []

    def count(_module: torch.nn.Module, args: object, kwargs: dict[str, Tensor]) -> None:
        tokens = kwargs.get("decoder_input_ids", kwargs.get("input_ids"))
        assert tokens is not None
        if kwargs.get("step"):
            fed.append(len(tokens))

    hook = llm.model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        for part in llm.writing(prompts, lines, TOKENS, short, None, 4):
            lengths += [draft.tokens for _, draft in part]
    finally:
        hook.remove()
    in_fours = sum(max(lengths[start : start + 4]) for start in range(0, len(lengths), 4))
    assert sum(lengths) / 4 <= len(fed) + len(lines) / 4 + 1
    assert len(fed) < in_fours
    assert max(fed) == 8  # a stream and its noise for each of four lines


def test_columns_that_nobody_sees_any_more_are_given_back(llm: LanguageModel) -> None:
    """However long the queue, a cache is as wide as what the rows in flight can see, not as all that went before."""
    prompts, lines = asked(many() * 3)
    widest = 0

    def measure(_module: torch.nn.Module, args: object, kwargs: dict[str, Tensor]) -> None:
        nonlocal widest
        if kwargs.get("step"):
            mask = kwargs.get("decoder_attention_mask", kwargs.get("attention_mask"))
            assert mask is not None
            widest = max(widest, mask.shape[-1])

    hook = llm.model.register_forward_pre_hook(measure, with_kwargs=True)
    try:
        steps = sum(draft.tokens for part in llm.writing(prompts, lines, TOKENS, short, None, 3) for _, draft in part)
    finally:
        hook.remove()
    longest = max(len(llm.split(prompt)[1]) for prompt in prompts) if not llm.encoder_decoder else 1
    assert steps / 3 > longest + TOKENS + 48  # else there would have been nothing to give back
    assert widest <= longest + TOKENS + 48  # a block ahead, a block behind, a block for rounding


@given(
    st.lists(st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=200), min_size=1, max_size=3),
)
def test_the_best_score_is_the_first_of_the_highest(rows: list[list[float]]) -> None:
    width = min(len(row) for row in rows)
    scores = torch.tensor([row[:width] for row in rows])
    assert best(scores).tolist() == [row[:width].index(max(row[:width])) for row in rows]


@given(st.lists(st.sampled_from(["append", "put", "left", "right", "select"]), max_size=12), st.randoms())
def test_a_growing_layer_holds_what_a_list_of_columns_would(acts: list[str], chance: random.Random) -> None:
    """Appending, overwriting rows, moving and dropping, against plain lists of numbers."""
    layer, columns = GrowingLayer(whole=True), [[0.0] * 1 for _ in range(3)]
    number = iter(range(1, 10_000))

    def states(rows: int, steps: int) -> tuple[Tensor, list[list[float]]]:
        made = [[float(next(number)) for _ in range(steps)] for _ in range(rows)]
        return torch.tensor(made)[:, None, :, None], made  # (rows, heads, steps, width)

    made, columns = states(3, 2)
    layer.update(made, -made)
    for act in acts:
        if act == "append":
            made, new = states(len(columns), chance.randint(1, 20))
            layer.update(made, -made)
            columns = [row + more for row, more in zip(columns, new, strict=True)]
        elif act == "put":
            made, new = states(2, chance.randint(1, layer.length))
            other = GrowingLayer(whole=False)
            other.update(made, -made)
            row, of, at = chance.randrange(len(columns)), chance.randrange(2), layer.length - other.length
            layer.put(torch.tensor([row]), other, torch.tensor([of]), at, len(columns))
            columns[row][at:] = new[of]
        elif act == "left" and layer.length > 1:
            layer.move(-1)
            columns = [row[1:] for row in columns]
        elif act == "right":
            layer.move(3)
            columns = [[0.0] * 3 + row for row in columns]
        elif act == "select":
            kept = sorted(chance.sample(range(len(columns)), chance.randint(1, len(columns))))
            layer.select(torch.tensor(kept))
            columns = [columns[row] for row in kept]
    keys, values = layer.held()
    assert keys[:, 0, : layer.length, 0].tolist() == columns
    assert torch.equal(values, -keys)
    assert not keys[:, :, layer.length :].any()


def test_a_draft_is_cut_where_its_room_ends(llm: LanguageModel) -> None:
    prompts, lines = asked(many()[:3])
    for room in (1, 2):
        assert {draft.tokens for draft in llm.write(prompts, lines, room, lambda text: False)} == {room}
    assert llm.write([], [], 5, short) == list[Draft]()
