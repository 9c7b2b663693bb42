"""How likely an LLM finds given words: log-likelihoods of continuations, and the mean of a number it could answer with.

Arrow: hypotheses -> scores; this is the inside of `score --by likelihood` and `score --by prompt --expected`.

Nothing is generated: prompt and continuation are read in one pass. What many prompts share is read once, texts with the
same prefix and of alike length stand together, and only positions whose next token is asked for go through the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stages.models.llm.backend import Backend, common
from stages.models.llm.forward import only_asked, padded_right, pieces
from stages.models.llm.request import Prompt
from stages.models.llm.streams import open_streams

# Rows of logits whose softmax is taken at once, in float32: as much memory as the allocator gives again and again
# (32 MiB with a vocabulary of 50,000) without asking the system for fresh pages each time.
LOGITS_AT_ONCE = 128

# How near (in hundredths of a nat) a float32 likelihood must lie to a rounding border to be computed again alone.
# Batched and lone sums were seen to differ by less than 2e-5 nats; this is 5 times that.
CLOSE_ROUNDING = 0.01

# The same for an expectation, in thousandths.
CLOSE_EXPECTATION = 0.1


@dataclass(frozen=True)
class Text:
    """Token ids of a prompt and of the continuation whose likelihood is asked for.

    `prefix` is the part of the prompt that comes from the prefix cache, `prompt` the rest: at least one id.
    """

    prefix: tuple[int, ...]
    prompt: list[int]
    continuation: list[int]

    @property
    def own(self) -> list[int]:
        """What a decoder-only model reads behind the prefix; nothing is asked behind the last token."""
        return self.prompt + self.continuation[:-1]


def log_likelihoods(llm: Backend, pairs: Sequence[tuple[Prompt, str]]) -> list[float]:
    """log p(continuation | prompt) in nats, summed over the continuation's tokens, one figure a pair.

    Figures are rounded to a hundredth of a nat. In float32 a figure whose rounding the batch could tip is computed
    again alone, so it does not depend on what else is in `pairs`.
    """
    texts = _texts(llm, pairs)
    figures = [0.0] * len(texts)
    # One prefix, alike lengths.
    for places in pieces([len(text.own) for text in texts], llm.device, [text.prefix for text in texts]):
        values = _together(llm, [texts[place] for place in places])
        for place, value in zip(places, values, strict=True):
            figures[place] = value
    if llm.exact:
        for place, value in enumerate(figures):
            if abs((value * 100) % 1 - 0.5) < CLOSE_ROUNDING:
                figures[place] = _alone(llm, texts[place])
    return [round(value, 2) for value in figures]


def expectations(llm: Backend, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[float] | None:
    """Sum over the numbers `choices` of number * p(number | prompt), p renormalised over the choices.

    None if a choice is not a single token of this model. Rounded to a thousandth, in float32 whatever else is in
    `prompts`.
    """
    tokens = [llm.tokenizer(choice, add_special_tokens=False).input_ids for choice in choices]
    if any(len(ids) != 1 for ids in tokens):
        return None
    columns = [ids[0] for ids in tokens]
    numbers = torch.tensor([float(choice) for choice in choices], dtype=torch.float64, device=llm.device)

    def mean(logits: Tensor) -> Tensor:  # (..., V) -> (...)
        return logits[..., columns].double().softmax(-1) @ numbers

    streams = open_streams(llm, len(prompts))
    streams.start(range(len(prompts)), prompts, range(len(prompts)))
    means: list[float] = mean(streams.logits).tolist()
    if llm.exact:
        for place, value in enumerate(means):
            if abs((value * 1000) % 1 - 0.5) < CLOSE_EXPECTATION:
                means[place] = float(mean(llm.alone(prompts[place], [])))
    return [round(value, 3) for value in means]


def _texts(llm: Backend, pairs: Sequence[tuple[Prompt, str]]) -> list[Text]:
    """The ids of each pair; a decoder-only tokenizer sees prompt and continuation as one text, as in generation."""
    # Prompts and their shared parts repeat, so each is cut into tokens once.
    prompts = llm.ids_of([prompt.text for prompt, _ in pairs])
    if llm.encoder_decoder:
        answers = [llm.tokenizer(text.strip(), add_special_tokens=False).input_ids for _, text in pairs]
        return [Text((), prompts[prompt.text], answer) for (prompt, _), answer in zip(pairs, answers, strict=True)]
    whole = llm.ids_of([prompt.text + text for prompt, text in pairs])
    texts = []
    for prompt, text in pairs:
        ids = whole[prompt.text + text]
        border = common(prompts[prompt.text], ids)
        head = llm.shared(prompt, ids[:border])
        texts.append(Text(tuple(ids[:head]), ids[head:border], ids[border:]))
    return texts


def _together(llm: Backend, texts: Sequence[Text]) -> list[float]:
    """The figures of texts with the same prefix, in one pass."""
    if llm.encoder_decoder:
        with _only_asked(llm, texts):
            return _sums(_teacher_forced(llm, texts), texts)
    # Padding stands on the right, where no token that is asked for sees it, and all rows count the same positions.
    ids, _ = padded_right([text.own for text in texts], llm.device)
    before = len(texts[0].prefix)
    positions = torch.arange(before, before + ids.shape[1], device=llm.device)[None]
    prefix = llm.shared_prefix([text.prefix for text in texts])
    shared = {} if prefix is None else {"prefix": prefix}
    with _only_asked(llm, texts):
        logits = llm.model(input_ids=ids, position_ids=positions, use_cache=False, **shared).logits
    return _sums(logits, texts)


def _alone(llm: Backend, text: Text) -> float:
    """The same figure without batch, padding or prefix."""
    if llm.encoder_decoder:
        return _sums(_teacher_forced(llm, [text])[0], [text])[0]
    read = llm.tensor([[*text.prefix, *text.own]])
    logits = llm.model(input_ids=read, use_cache=False, logits_to_keep=len(text.continuation)).logits
    return _sums(logits[0], [text])[0]


def _only_asked(llm: Backend, texts: Sequence[Text]) -> AbstractContextManager[None]:
    """Let the output layer see only the positions whose next token is asked for: its logits become (all of them, V)."""
    row, column = list[int](), list[int]()
    for place, text in enumerate(texts):
        first = 0 if llm.encoder_decoder else len(text.prompt) - 1
        row += [place] * len(text.continuation)
        column += range(first, first + len(text.continuation))
    return only_asked(llm.model, row, column)


def _teacher_forced(llm: Backend, texts: Sequence[Text]) -> Tensor:
    """Logits (rows, longest continuation, V) of an encoder-decoder model that is fed each continuation."""
    start = llm.model.config.decoder_start_token_id
    inputs, mask = padded_right([text.prompt for text in texts], llm.device)
    decoder_inputs, decoder_mask = padded_right([[start, *text.continuation[:-1]] for text in texts], llm.device)
    out = llm.model(
        input_ids=inputs,
        attention_mask=mask,
        decoder_input_ids=decoder_inputs,
        decoder_attention_mask=decoder_mask,
        use_cache=False,
    )
    logits: Tensor = out.logits
    return logits


def _sums(logits: Tensor, texts: Sequence[Text]) -> list[float]:
    """Sum of log softmax(logits)[token] over each text's continuation, in float32; logits (all their tokens, V)."""
    tokens = torch.tensor([token for text in texts for token in text.continuation], dtype=torch.long).to(logits.device)
    log_probs = [
        -functional.cross_entropy(part.float(), wanted, reduction="none")
        for part, wanted in zip(logits.split(LOGITS_AT_ONCE), tokens.split(LOGITS_AT_ONCE), strict=True)
    ]
    each = torch.cat(log_probs).double().cpu().split([len(text.continuation) for text in texts])
    return [float(part.sum()) for part in each]
