"""Log-likelihoods and expectations against one plain forward pass a pair."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence

import pytest
import tiny
import torch

from stages.models import catalog, loading
from stages.models.llm.forward import TOKENS_AT_ONCE
from stages.models.llm.model import LanguageModel
from stages.models.llm.request import Prompt

GIVEN = "Write a sentence that must be true.\nSentence: "
DIGITS = ["0", "1", "2", "3", "4", "5"]


@pytest.fixture(scope="module", params=["t5", "gpt2", "llama"])
def llm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = getattr(tiny, f"save_tiny_{request.param}")(tmp_path_factory.mktemp("llm") / request.param)
    return loading.language_model(catalog.locate(str(folder), "llm"), torch.device("cpu"), "float32")


def pairs(shared: bool = True) -> list[tuple[Prompt, str]]:
    """Every premise before the next one, and after no premise at all."""
    texts = tiny.premises()
    found = []
    for place, text in enumerate(texts):
        prompt = f"{GIVEN}{text}\nSame:"
        found.append((Prompt(prompt, len(GIVEN) if shared else 0), f" {texts[place - 1]}"))
        found.append((Prompt(GIVEN, len(GIVEN) if shared else 0), f" {text}"))
    return found


@torch.inference_mode()
def plainly(llm: LanguageModel, prompt: str, text: str) -> float:
    """Sum over t of log p(y_t | prompt, y_<t): the whole sequence in one pass, softmax in float64."""
    read = llm.tokenizer(prompt).input_ids
    if llm.model.config.is_encoder_decoder:
        answer = llm.tokenizer(text.strip(), add_special_tokens=False).input_ids
        fed = [llm.model.config.decoder_start_token_id, *answer[:-1]]
        logits = llm.model(
            input_ids=torch.tensor([read]), decoder_input_ids=torch.tensor([fed]), use_cache=False
        ).logits[0]
    else:
        whole = llm.tokenizer(prompt + text).input_ids
        assert whole[: len(read)] == read
        answer = whole[len(read) :]
        logits = llm.model(input_ids=torch.tensor([whole]), use_cache=False).logits[0, len(read) - 1 : -1]
    log_p = logits.double().log_softmax(-1)
    return sum(float(log_p[step, token]) for step, token in enumerate(answer))


@pytest.mark.parametrize("shared", [True, False])
def test_log_likelihoods_equal_a_plain_forward_pass(llm: LanguageModel, shared: bool) -> None:
    """Batch, padding, prefix cache and partial vocabulary passes change no figure by more than its rounding."""
    asked = pairs(shared)
    for (prompt, text), found in zip(asked, llm.log_likelihoods(asked), strict=True):
        assert found == pytest.approx(plainly(llm, prompt.text, text), abs=0.011)


def test_log_likelihoods_do_not_depend_on_the_batch(llm: LanguageModel) -> None:
    """Alone, in threes, shuffled, with or without the shared prefix: exactly the same figures."""
    asked = pairs()
    expected = dict(zip(asked, llm.log_likelihoods(asked), strict=True))
    for size in (1, 3, len(asked)):
        random.Random(size).shuffle(asked)
        for start in range(0, len(asked), size):
            part = asked[start : start + size]
            assert llm.log_likelihoods(part) == [expected[pair] for pair in part]
    plain = [(Prompt(prompt.text), text) for prompt, text in asked]
    assert llm.log_likelihoods(plain) == [expected[pair] for pair in asked]


def test_a_hint_through_the_middle_of_a_token_changes_no_log_likelihood(llm: LanguageModel) -> None:
    """Only the tokens that truly agree are read from the prefix cache."""
    (prompt, text), *_ = pairs()
    expected = llm.log_likelihoods([(Prompt(prompt.text), text)])
    for shared in range(0, len(prompt.text) + 5, 3):
        assert llm.log_likelihoods([(Prompt(prompt.text, shared), text)]) == expected, shared


def test_more_tokens_than_fit_at_once_are_read_in_pieces(llm: LanguageModel) -> None:
    """A list longer than one forward pass gives the figures of its parts, in its own order."""
    text = " It has been raining since yesterday afternoon."
    asked = [(Prompt(f"{GIVEN}{'The cat is asleep. ' * (n % 9)}"), text) for n in range(126)]
    assert sum(len(llm.ids(prompt.text)) for prompt, _ in asked) > 1.2 * TOKENS_AT_ONCE["cpu"]
    expected = [llm.log_likelihoods([pair])[0] for pair in asked[:9]]
    assert llm.log_likelihoods(asked) == [expected[n % 9] for n in range(126)]


def test_prefixes_of_any_length_may_stand_in_one_list(llm: LanguageModel) -> None:
    """No prefix, the instruction, the whole prompt but its end: each figure is that of a plain pass."""
    asked = [
        (Prompt(prompt.text, shared), text)
        for place, (prompt, text) in enumerate(pairs())
        for shared in (0, len(GIVEN), len(prompt.text) - place % 5)
    ]
    for (prompt, text), found in zip(asked, llm.log_likelihoods(asked), strict=True):
        assert found == pytest.approx(plainly(llm, prompt.text, text), abs=0.011)


def test_a_continuation_without_tokens_is_certain(llm: LanguageModel) -> None:
    """Nothing to say has probability 1, beside others and alone."""
    (prompt, text), *_ = pairs()
    (nothing, something), (one,) = (
        llm.log_likelihoods([(prompt, ""), (prompt, text)]),
        llm.log_likelihoods([(prompt, "")]),
    )
    assert nothing == one == 0.0
    assert something < 0.0


def test_reading_leaves_the_output_layer_as_it_was(llm: LanguageModel) -> None:
    """Picking positions ends with the call, also with one that fails: the model then gives logits everywhere."""
    asked = pairs()[:3]
    expected = llm.log_likelihoods(asked)
    beyond = (Prompt(asked[0][0].text), " word" * 300)  # more positions than the learned ones of GPT-2
    with contextlib.suppress(IndexError):
        llm.log_likelihoods([beyond])
    assert llm.log_likelihoods(asked) == expected
    read = torch.tensor([[1, 2, 3]])
    fed = {"decoder_input_ids": read} if llm.encoder_decoder else {}
    assert llm.model(input_ids=read, **fed).logits.shape[:2] == (1, 3)


def test_the_same_pair_twice_has_the_same_figure(llm: LanguageModel) -> None:
    """Duplicates in a list are answered alike."""
    asked = pairs()[:5]
    assert llm.log_likelihoods(asked + asked) == llm.log_likelihoods(asked) * 2


def at_a_border(llm: LanguageModel, figure: Callable[[], float], tries: int) -> list[float]:
    """Gains of the output layer around the one at which a rounded figure jumps: there the last bit decides."""
    head = llm.model.lm_head.weight.data
    original = head.clone()

    def rounded(gain: float) -> float:
        head.copy_(original * gain)
        return figure()

    low, high = 1.0, 1.02
    bottom = rounded(low)
    assert bottom != rounded(high)
    while high - low > 1.2e-7:
        middle = (low + high) / 2
        low, high = (middle, high) if rounded(middle) == bottom else (low, middle)
    head.copy_(original)
    return [low + step * 1.2e-7 for step in range(-tries // 2, tries // 2)]


def gained(llm: LanguageModel, gain: float, ask: Callable[[], Sequence[float]]) -> list[float]:
    """What `ask` gives with the output layer times `gain`."""
    original = llm.model.lm_head.weight.data.clone()
    llm.model.lm_head.weight.data.mul_(gain)
    try:
        return list(ask())
    finally:
        llm.model.lm_head.weight.data.copy_(original)


@pytest.mark.parametrize("place", [4, 7, 8, 9, 11])
def test_a_log_likelihood_at_the_border_of_rounding_does_not_depend_on_the_batch(
    llm: LanguageModel, place: int
) -> None:
    """With a model scaled until the figure lies between two hundredths: alone, with a prefix, in a batch: the same."""
    asked = pairs()
    pair = asked[place]
    plain = (Prompt(pair[0].text), pair[1])
    for gain in at_a_border(llm, lambda: llm.log_likelihoods([pair, asked[0]])[0], tries=12):
        ways = [[pair], [plain], [pair, asked[0]]]
        found = [gained(llm, gain, lambda way=way: llm.log_likelihoods(way))[0] for way in ways]
        assert len(set(found)) == 1, found


@torch.inference_mode()
def expected_number(llm: LanguageModel, prompt: str) -> float:
    """Sum over the digits of digit * p(digit | prompt), p renormalised over the digits."""
    read = torch.tensor([llm.tokenizer(prompt).input_ids])
    config = llm.model.config
    fed = {"decoder_input_ids": torch.tensor([[config.decoder_start_token_id]])} if config.is_encoder_decoder else {}
    logits = llm.model(input_ids=read, **fed).logits[0, -1]
    weight = {digit: float(logits[llm.tokenizer.convert_tokens_to_ids(digit)].double().exp()) for digit in DIGITS}
    return sum(int(digit) * share for digit, share in weight.items()) / sum(weight.values())


def test_expectations_equal_the_mean_under_the_renormalised_softmax(llm: LanguageModel) -> None:
    """One figure a prompt, within its rounding, whatever stands beside it."""
    asked = [Prompt(f"{GIVEN}{text}\nScore:", len(GIVEN)) for text in tiny.premises()]
    found = llm.expectations(asked, DIGITS)
    assert found == pytest.approx([expected_number(llm, prompt.text) for prompt in asked], abs=0.0011)
    assert len(set(found)) > 6


def test_expectations_do_not_depend_on_the_batch(llm: LanguageModel) -> None:
    """Alone or together, at the border of rounding too: the same figure (a score is stored, and curated by it)."""
    asked = [Prompt(f"{GIVEN}{text}\nScore:", len(GIVEN)) for text in tiny.premises()]
    together = llm.expectations(asked, DIGITS)
    assert together == [llm.expectations([prompt], DIGITS)[0] for prompt in asked]

    def first(prompts: list[Prompt]) -> list[float]:
        return llm.expectations(prompts, DIGITS)[:1]

    for gain in at_a_border(llm, lambda: first(asked[:1])[0], tries=40):
        found = [gained(llm, gain, lambda way=way: first(way)) for way in (asked[:1], asked[:3], asked)]
        assert found[0] == found[1] == found[2]


def test_expectations_need_single_tokens(llm: LanguageModel) -> None:
    """A choice of several tokens has no next-token probability, and the answer is None."""
    assert llm.expectations([Prompt("Score:")], [*DIGITS, "10"]) is None
