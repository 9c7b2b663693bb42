"""Contrastive decoding against the slow way of doing it: token by token, everything computed anew."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import tiny
import torch

from stages.models import catalog, loading
from stages.models.llm.model import LanguageModel
from stages.models.llm.request import Draft, Line, Noise, Prompt, Sampling

WRITE = "Write a sentence that {} be true if the sentence above is true.\nSentence: "
OWN, OPPOSITE = WRITE.format("must"), WRITE.format("cannot")
SAMPLED = Sampling(seed=5, temperature=0.7, top_p=0.9)
TOKENS = 12


def never(_text: str) -> bool:
    return False


@pytest.fixture(scope="module", params=["t5", "gpt2", "llama"])
def llm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = getattr(tiny, f"save_tiny_{request.param}")(tmp_path_factory.mktemp("llm") / request.param)
    return loading.language_model(catalog.locate(str(folder), "llm"), torch.device("cpu"), "float32")


def asked(premises: Sequence[str], omegas: tuple[float, float]) -> tuple[list[Prompt], list[Line]]:
    """Two prompts and two lines a premise, each line with the other's prompt as its noise."""
    prompts, lines = [], []
    for place, premise in enumerate(premises):
        prompts += [Prompt(f"{start}{premise}\nSo:", len(start)) for start in (OWN, OPPOSITE)]
        own, opposite = 2 * place, 2 * place + 1
        lines += [
            Line(own, (Noise(opposite, omegas[0]),), f"+/{premise}"),
            Line(opposite, (Noise(own, omegas[1]),), f"-/{premise}"),
        ]
    return prompts, lines


def written(
    llm: LanguageModel, premises: Sequence[str], omegas: tuple[float, float], sampling: Sampling | None = None
) -> dict[str, tuple[Draft, Draft]]:
    drafts = llm.write(*asked(premises, omegas), TOKENS, never, sampling)
    return {premise: (drafts[2 * i], drafts[2 * i + 1]) for i, premise in enumerate(premises)}


@torch.inference_mode()
def slowly(llm: LanguageModel, prompts: Sequence[Prompt], line: Line, max_tokens: int) -> list[int]:
    """argmax of l - sum_j w_j * l_j at every step, with no cache, no padding, no batch (eq. 1-2)."""

    def logits(place: int) -> torch.Tensor:
        prompt = llm.tokenizer(prompts[place].text, return_tensors="pt").input_ids
        if llm.model.config.is_encoder_decoder:
            start = llm.model.config.decoder_start_token_id
            out = llm.model(input_ids=prompt, decoder_input_ids=torch.tensor([[start, *tokens]]), use_cache=False)
        else:
            out = llm.model(input_ids=torch.cat([prompt, torch.tensor([tokens], dtype=torch.long)], 1), use_cache=False)
        return out.logits[0, -1]

    tokens: list[int] = []
    while len(tokens) < max_tokens:
        scores = logits(line.own)
        for noise in line.noises:
            scores = scores - noise.weight * logits(noise.prompt)
        token = int(scores.argmax())
        if token == llm.tokenizer.eos_token_id:
            break
        tokens.append(token)
    return tokens


@pytest.mark.parametrize("omegas", [(-0.2, -0.2), (0.3, 0.3), (0.5, 0.5), (0.3, 0.0), (0.2, 0.45)])
def test_contrastive_decoding_equals_token_by_token_argmax(llm: LanguageModel, omegas: tuple[float, float]) -> None:
    """Cache, padding, batch and shared prefixes leave argmax(l - omega * noise) as it is, for both roles."""
    prompts, lines = asked(tiny.premises(), omegas)
    drafts = llm.write(prompts, lines, TOKENS, never)
    for line, draft in zip(lines, drafts, strict=True):
        tokens = slowly(llm, prompts, line, TOKENS)
        assert draft == Draft(llm.tokenizer.decode(tokens, skip_special_tokens=True), len(tokens), len(tokens) < TOKENS)


def test_several_weighted_noises_equal_token_by_token_argmax(llm: LanguageModel) -> None:
    """Lines with none, one, two and three noises side by side, some of them of the same prompt, a few slots for all."""
    texts = [Prompt(f"{start}{premise}\nSo:", len(start)) for premise in tiny.premises() for start in (OWN, OPPOSITE)]
    nothing = len(texts)
    texts.append(Prompt(f"{OWN}...\nSo:", len(OWN)))
    lines = []
    for own in range(0, nothing, 2):
        noises = (Noise(own + 1, 0.3), Noise(nothing, 0.2), Noise(0, -0.1))
        lines += [Line(own, noises[:count], f"{count}/{own}") for count in range(4)]
    found = dict(pair for part in llm.writing(texts, lines, TOKENS, never, at_once=5) for pair in part)
    for place, line in enumerate(lines):
        tokens = slowly(llm, texts, line, TOKENS)
        assert found[place].text == llm.tokenizer.decode(tokens, skip_special_tokens=True)
    alike = [len({found[place].text for place in range(first, first + 4)}) for first in range(0, len(lines), 4)]
    assert max(alike) > 1  # the noises count


def test_the_noise_changes_what_is_written(llm: LanguageModel) -> None:
    """The tests of this file would be empty if omega made no difference here."""
    plain, contrasted = written(llm, tiny.premises(), (0.0, 0.0)), written(llm, tiny.premises(), (0.3, 0.3))
    assert sum(plain[one] != contrasted[one] for one in plain) >= 10
    assert len(set(contrasted.values())) == len(contrasted)


@pytest.mark.parametrize("noises", [(), (Noise(1, 0.0),)])
def test_without_noise_it_is_the_greedy_decoding_of_transformers(llm: LanguageModel, noises: tuple[Noise, ...]) -> None:
    """What generate(do_sample=False) writes, whether there is no noise or its weight is 0."""
    for premise in tiny.premises():
        inputs = llm.tokenizer(premise, return_tensors="pt")
        found = llm.model.generate(
            input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, do_sample=False, max_new_tokens=TOKENS
        )
        new = found[0, 1:] if llm.encoder_decoder else found[0, inputs.input_ids.shape[1] :]
        prompts = [Prompt(premise), Prompt("Another one.")]
        (draft,) = llm.write(prompts, [Line(0, noises, "")], TOKENS, never)
        assert draft.text == llm.tokenizer.decode(new, skip_special_tokens=True)


@pytest.mark.parametrize("sampling", [None, SAMPLED])
@pytest.mark.parametrize("batch", [1, 3, 12])
def test_drafts_do_not_depend_on_batch_order_or_neighbours(
    llm: LanguageModel, sampling: Sampling | None, batch: int
) -> None:
    """A premise is written alike alone, among three, among all, shuffled, and beside strangers."""
    premises = tiny.premises()
    expected = written(llm, premises, (0.3, 0.2), sampling)
    random.Random(batch).shuffle(premises)
    for start in range(0, len(premises), batch):
        part = premises[start : start + batch]
        strangers = ["A stranger waits for the bus. " * 3] if start else []
        found = written(llm, strangers + part, (0.3, 0.2), sampling)
        assert {premise: found[premise] for premise in part} == {premise: expected[premise] for premise in part}


@pytest.mark.parametrize("sampling", [None, SAMPLED])
def test_drafts_do_not_depend_on_the_batch_where_every_choice_is_close(
    llm: LanguageModel, sampling: Sampling | None
) -> None:
    """With a twin of all but equal logit beside every token, rounding could tip every step; it does not."""
    twins = loading.language_model(
        catalog.locate(str(llm.model.config.name_or_path), "llm"), torch.device("cpu"), "float32"
    )
    head = twins.model.lm_head.weight.data
    head[1::2] = head[::2] + 1e-7 * torch.randn(head[::2].shape, generator=torch.Generator().manual_seed(0))
    premises = tiny.premises()[2:8]
    together = written(twins, premises, (0.3, 0.3), sampling)
    for premise in premises:
        assert written(twins, [premise], (0.3, 0.3), sampling)[premise] == together[premise]


def test_a_shared_prefix_hint_changes_nothing(llm: LanguageModel) -> None:
    """Right, too long, empty, or through the middle of a token: the hint is never more than a hint."""
    premise = "The children are building a castle."
    text = f"{OWN}{premise}\nSo:"
    line = Line(0, (Noise(1, 0.3),), "")
    (expected,) = llm.write([Prompt(text), Prompt(OPPOSITE + premise)], [line], TOKENS, never)
    for shared in [*range(0, len(text), 5), len(OWN), len(text) - 1, len(text), len(text) + 9]:
        prompts = [Prompt(text, shared), Prompt(OPPOSITE + premise, shared)]
        assert llm.write(prompts, [line], TOKENS, never) == [expected], shared


def test_a_hint_may_cut_a_token_in_half(llm: LanguageModel) -> None:
    """'sent|ence' read as two pieces has other tokens than the whole word, and only the common ones are reused."""
    text, cut = OWN + "Rain.", OWN.index("sentence") + 4
    split = llm.tokenizer(text[:cut], add_special_tokens=False).input_ids
    assert split != llm.tokenizer(text, add_special_tokens=False).input_ids[: len(split)]
    line = Line(0, (), "")
    assert llm.write([Prompt(text, cut)], [line], TOKENS, never) == llm.write([Prompt(text)], [line], TOKENS, never)


def test_many_prefixes_in_one_batch_or_one_after_the_other_change_nothing(llm: LanguageModel) -> None:
    """Seventy prefixes of several lengths, some rows without one, at once or in batches and again: as each alone."""
    texts = [f"Sentence {i}: {'the same meaning ' * (i % 3)}\nSo:" for i in range(70)]
    lines = [Line(i, (), "") for i in range(len(texts))]
    prompts = [Prompt(text, 0 if i % 7 == 0 else len(text) - 4) for i, text in enumerate(texts)]
    alone = [llm.write([Prompt(text)], lines[:1], 4, never)[0] for text in texts]
    assert llm.write(prompts, lines, 4, never) == alone
    for start in (*range(0, 70, 5), 0, 5):
        assert llm.write(prompts[start : start + 5], lines[:5], 4, never) == alone[start : start + 5]


def test_ends_stops_a_line_at_the_first_text_it_accepts(llm: LanguageModel) -> None:
    """A line ends with the token that makes `ends` true, each line at its own step, and says so."""
    prompts, lines = asked(tiny.premises(), (0.3, 0.3))

    def ends(text: str) -> bool:
        return len(text) % 5 == 0

    for line, draft in zip(lines, llm.write(prompts, lines, TOKENS, ends), strict=True):
        tokens = slowly(llm, prompts, line, TOKENS)
        texts = [llm.tokenizer.decode(tokens[:n], skip_special_tokens=True) for n in range(1, len(tokens) + 1)]
        stop = next((n for n, text in enumerate(texts) if ends(text)), None)
        assert draft.ended == (stop is not None or len(tokens) < TOKENS)
        assert draft.text == (texts[stop] if stop is not None else texts[-1])
        assert draft.tokens == (stop + 1 if stop is not None else len(tokens))


@pytest.mark.parametrize("room", [1, 2, 7])
def test_a_line_out_of_room_has_not_ended(llm: LanguageModel, room: int) -> None:
    """max_tokens is what is written, and ended is False."""
    lines = [Line(0, (), "")]
    assert [(draft.tokens, draft.ended) for draft in llm.write([Prompt("Rain.")], lines, room, never)] == [
        (room, False)
    ]


def test_an_end_of_text_token_ends_a_line_and_is_no_part_of_it(llm: LanguageModel) -> None:
    """The same model with one of its written tokens declared an end of text stops before that token."""
    prompts, lines = asked(tiny.premises()[:5], (0.3, 0.3))
    tokens = [slowly(llm, prompts, line, TOKENS) for line in lines]
    end = tokens[0][4]
    llm.model.generation_config.eos_token_id, before = [1, end], llm.model.generation_config.eos_token_id
    shorter = LanguageModel(llm.model, llm.tokenizer, "shorter")
    llm.model.generation_config.eos_token_id = before
    for found, draft in zip(tokens, shorter.write(prompts, lines, TOKENS, never), strict=True):
        kept = found[: found.index(end)] if end in found else found
        assert draft == Draft(llm.tokenizer.decode(kept, skip_special_tokens=True), len(kept), len(kept) < TOKENS)


def test_a_tiny_temperature_writes_what_greedy_writes(llm: LanguageModel) -> None:
    """Drawing from a softmax that is all on one token is argmax."""
    cold = Sampling(seed=1, temperature=1e-6, top_p=1.0)
    assert written(llm, tiny.premises(), (0.3, 0.3), cold) == written(llm, tiny.premises(), (0.3, 0.3))


def test_sampled_drafts_follow_seed_and_key_only(llm: LanguageModel) -> None:
    """Another seed or another key writes another text; the state of torch's generator does not."""

    def draw(seed: int, key: str) -> Draft:
        sampling = Sampling(seed, temperature=1.0, top_p=0.95)
        return llm.write([Prompt("A man sings.")], [Line(0, (), key)], TOKENS, never, sampling)[0]

    first = draw(1, "a")
    torch.manual_seed(99)
    assert draw(1, "a") == first
    assert len({first.text, draw(2, "a").text, draw(1, "b").text}) == 3


def test_every_step_draws_anew(llm: LanguageModel) -> None:
    """At a temperature that makes all tokens alike, the second token is not the first one again."""
    hot = Sampling(1, temperature=1e4, top_p=1.0)
    lines = [Line(0, (), str(key)) for key in range(20)]
    one, two = (llm.write([Prompt("Rain.")], lines, room, never, hot) for room in (1, 2))
    assert sum(long.text == 2 * short.text for short, long in zip(one, two, strict=True)) <= 2


def test_both_roles_from_shared_prompts_equal_each_alone(llm: LanguageModel) -> None:
    """Entailment and contradiction are each other's noise, and neither is disturbed by that."""
    for premise in tiny.premises():
        prompts, (plus, minus) = asked([premise], (0.3, -0.2))
        together = llm.write(prompts, [plus, minus], TOKENS, never)
        assert together == [llm.write(prompts, [line], TOKENS, never)[0] for line in (plus, minus)]
