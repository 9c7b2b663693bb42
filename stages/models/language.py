"""An LLM as the stages see it: prompts go in, next-token logits and log-likelihoods come out.

Arrow: none of its own. `gen` and `score` are handed a `LanguageModel`; it knows nothing of premises or the store.

Two families sit behind one face. A decoder-only model (SmolLM2, LLaMA-likes, GPT-2) reads prompt and answer as one
sequence; an encoder-decoder model (Flan-T5) encodes the prompt once and decodes the answer against it. Both are opened
as `Streams`: rows that are fed one token at a time and can be duplicated, reordered and dropped.

What makes it fast without changing what it computes:

* the leading part that many prompts share (instruction and shots) is computed once and held once (`Prompt.shared`);
* keys and values live in buffers allocated once, so a step appends instead of copying the whole cache;
* only positions whose next token is asked for go through the vocabulary.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer, EncoderDecoderCache

from stages.models import attention, decoding
from stages.models.attention import SharedPrefix
from stages.models.cache import GrowingCache
from stages.models.problem import Unusable
from stages.models.request import Draft, Line, Prompt, Sampling

# Sets of prefixes kept computed. The batches of a run share one or two; with retrieved demonstrations every batch brings
# its own, and the bound keeps memory flat.
STACKS_KEPT = 4


class Streams(Protocol):
    """Rows of one opened batch; `logits` (rows, V) are for the position after everything fed so far."""

    logits: Tensor

    def select(self, rows: Sequence[int]) -> None:
        """Keep `rows`, in that order; a row may be named twice (both copies then go their own way)."""
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """Feed one token to each row: (rows,) -> logits (rows, V)."""
        ...


class LanguageModel:
    """A transformers LLM with its tokenizer, in eval mode. `name` is what the user called it."""

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.encoder_decoder: bool = bool(model.config.is_encoder_decoder)
        self.device: torch.device = model.device
        self.exact: bool = model.dtype == torch.float32
        eos = model.generation_config.eos_token_id if model.generation_config is not None else None
        if eos is None:
            eos = tokenizer.eos_token_id
        self.eos: frozenset[int] = frozenset([] if eos is None else [eos] if isinstance(eos, int) else eos)
        self.shares = attention.install(model)  # whether prompts may share the keys and values of their heads
        self._stacks: OrderedDict[tuple[tuple[int, ...], ...], list[tuple[Tensor, Tensor]]] = OrderedDict()

    def ids(self, text: str) -> list[int]:
        """Token ids of a prompt as the model expects it (with the special tokens its tokenizer adds)."""
        # A chat template writes the special tokens out in the text; they must not be added twice.
        templated = any(text.startswith(token) for token in self.tokenizer.all_special_tokens)
        ids: list[int] = self.tokenizer(text, add_special_tokens=not templated).input_ids
        return ids

    def text(self, tokens: Sequence[int]) -> str:
        """The text of generated tokens, special tokens left out."""
        decoded: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return decoded

    def wrap(self, message: str) -> str:
        """`message` as the user's turn in the model's own chat format. Raises Unusable if it has none."""
        if not self.tokenizer.chat_template:
            raise Unusable(
                f"the model {self.name} has no chat template, and this prompt set wants one",
                "choose another with --prompts, or another --llm",
            )
        turns = [{"role": "user", "content": message}]
        wrapped: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return wrapped

    def write(
        self,
        prompts: Sequence[Prompt],
        lines: Sequence[Line],
        max_tokens: int,
        ends: Callable[[str], bool],
        sampling: Sampling | None = None,
    ) -> list[Draft]:
        """Contrastive decoding of `lines` over `prompts`; see `stages/models/decoding.py`."""
        return decoding.write(self, prompts, lines, max_tokens, ends, sampling)

    @torch.inference_mode()
    def open(self, prompts: Sequence[Prompt], room: int) -> Streams:
        """Read `prompts` and be ready to write up to `room` tokens after each; row i belongs to prompts[i]."""
        if self.encoder_decoder:
            return EncoderDecoderStreams(self, [self.ids(prompt.text) for prompt in prompts], room)
        return DecoderStreams(self, [self._split(prompt) for prompt in prompts], room)

    @torch.inference_mode()
    def alone(self, prompt: Prompt, tokens: Sequence[int]) -> Tensor:
        """Next-token logits (V,) after `prompt` and `tokens`, computed without batch, padding or cache.

        The same call gives the same bits whatever else is being worked on; it settles the calls that rounding
        could tip (see `decoding.choose`).
        """
        ids = self.ids(prompt.text)
        if self.encoder_decoder:
            start = self.model.config.decoder_start_token_id
            out = self.model(
                input_ids=self._tensor([ids]), decoder_input_ids=self._tensor([[start, *tokens]]), use_cache=False
            )
            logits: Tensor = out.logits[0, -1]
        else:
            out = self.model(input_ids=self._tensor([[*ids, *tokens]]), use_cache=False, logits_to_keep=1)
            logits = out.logits[0, -1]
        return logits.float()

    @torch.inference_mode()
    def log_likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> list[float]:
        """log p(continuation | prompt) in nats, summed over the continuation's tokens, one figure a pair.

        Figures are rounded to a hundredth of a nat. In float32 a figure whose rounding the batch could tip is computed
        again alone, so it does not depend on what else is in `pairs`.
        """
        split = [self._continuation(prompt, text) for prompt, text in pairs]
        shared = [
            min(self._shared(prompt, ids), len(ids) - 1) for (prompt, _), (ids, _) in zip(pairs, split, strict=True)
        ]
        found = [0.0] * len(pairs)
        # Alike lengths together, so that little is padded; what a prefix holds is not read again and does not count.
        lengths = [len(ids) - head + len(rest) for head, (ids, rest) in zip(shared, split, strict=True)]
        order = sorted(range(len(pairs)), key=lambda place: (lengths[place], len(split[place][1])))
        for places in _pieces(order, lengths):
            values = self._batch_likelihoods([shared[place] for place in places], [split[place] for place in places])
            for place, value in zip(places, values, strict=True):
                found[place] = value
        if self.exact:
            for i, value in enumerate(found):
                if abs((value * 100) % 1 - 0.5) < CLOSE_ROUNDING:
                    found[i] = self._likelihood_alone(*split[i])
        return [round(value, 2) for value in found]

    @torch.inference_mode()
    def expectations(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[float] | None:
        """Sum over the numbers `choices` of number * p(number | prompt), p renormalised over the choices.

        None if a choice is not a single token of this model. Rounded to a thousandth, in float32 whatever else is in
        `prompts`.
        """
        tokens = [self.tokenizer(choice, add_special_tokens=False).input_ids for choice in choices]
        if any(len(ids) != 1 for ids in tokens):
            return None
        columns = [ids[0] for ids in tokens]
        numbers = torch.tensor([float(choice) for choice in choices], dtype=torch.float64, device=self.device)

        def mean(logits: Tensor) -> Tensor:  # (..., V) -> (...)
            return logits[..., columns].double().softmax(-1) @ numbers

        found: list[float] = mean(self.open(prompts, room=0).logits).tolist()
        if self.exact:
            for place, value in enumerate(found):
                if abs((value * 1000) % 1 - 0.5) < CLOSE_EXPECTATION:
                    found[place] = float(mean(self.alone(prompts[place], [])))
        return [round(value, 3) for value in found]

    def _continuation(self, prompt: Prompt, text: str) -> tuple[list[int], list[int]]:
        """Prompt ids and continuation ids; a decoder-only tokenizer sees them as one text, as in generation."""
        ids = self.ids(prompt.text)
        if self.encoder_decoder:
            return ids, self.tokenizer(text.strip(), add_special_tokens=False).input_ids
        whole = self.ids(prompt.text + text)
        common = _common(ids, whole)
        return whole[:common], whole[common:]

    def _batch_likelihoods(self, shared: Sequence[int], split: Sequence[tuple[list[int], list[int]]]) -> list[float]:
        longest = max(len(continuation) for _, continuation in split)
        if self.encoder_decoder:
            logits = self._teacher_forced([ids for ids, _ in split], [continuation for _, continuation in split])
            lengths = [len(continuation) for _, continuation in split]
            return _sum_of_log_probs(logits, [c for _, c in split], [0] * len(lengths))
        rows = [
            (tuple(ids[:head]), ids[head:] + continuation[:-1])
            for head, (ids, continuation) in zip(shared, split, strict=True)
        ]
        streams = DecoderStreams(self, rows, room=0, keep=longest)
        starts = [longest - len(continuation) for _, continuation in split]
        return _sum_of_log_probs(streams.kept, [c for _, c in split], starts)

    def _likelihood_alone(self, ids: list[int], continuation: list[int]) -> float:
        if self.encoder_decoder:
            logits = self._teacher_forced([ids], [continuation])
        else:
            out = self.model(
                input_ids=self._tensor([ids + continuation[:-1]]), use_cache=False, logits_to_keep=len(continuation)
            )
            logits = out.logits
        return _sum_of_log_probs(logits, [continuation], [0])[0]

    def _teacher_forced(self, prompts: list[list[int]], answers: list[list[int]]) -> Tensor:
        """Logits (rows, longest answer, V) of an encoder-decoder model that is fed each answer."""
        start = self.model.config.decoder_start_token_id
        inputs, mask = self._padded_right(prompts)
        decoder_inputs, decoder_mask = self._padded_right([[start, *answer[:-1]] for answer in answers])
        out = self.model(
            input_ids=inputs,
            attention_mask=mask,
            decoder_input_ids=decoder_inputs,
            decoder_attention_mask=decoder_mask,
            use_cache=False,
        )
        logits: Tensor = out.logits
        return logits

    def _split(self, prompt: Prompt) -> tuple[tuple[int, ...], list[int]]:
        """(ids that may come from the prefix cache, the rest: at least one id)."""
        ids = self.ids(prompt.text)
        shared = min(self._shared(prompt, ids), len(ids) - 1)
        return tuple(ids[:shared]), ids[shared:]

    def _shared(self, prompt: Prompt, ids: list[int]) -> int:
        if not self.shares or not prompt.shared:
            return 0
        # A tokenizer may merge characters across the border, so only the ids that truly agree are shared.
        return _common(self.ids(prompt.text[: prompt.shared]), ids)

    def shared_prefix(self, prefixes: Sequence[tuple[int, ...]]) -> SharedPrefix | None:
        """The computed prefixes of a batch, `prefixes[i]` for row i; None if no row has one."""
        distinct = tuple(sorted(set(prefixes)))
        if distinct == ((),):
            return None
        states = self._stacks.get(distinct)
        if states is None:
            states = self._stacks[distinct] = self._stack(distinct)
            if len(self._stacks) > STACKS_KEPT:
                self._stacks.popitem(last=False)
        slots = {prefix: slot for slot, prefix in enumerate(distinct)}
        lengths = torch.tensor([len(prefix) for prefix in distinct], device=self.device)
        return SharedPrefix(states, lengths, torch.tensor([slots[prefix] for prefix in prefixes], device=self.device))

    def _stack(self, prefixes: tuple[tuple[int, ...], ...]) -> list[tuple[Tensor, Tensor]]:
        """Keys and values (S, heads, longest, width) of each layer after reading each of S prefixes."""
        # One at a time: the same call gives the same bits whatever the other prefixes are.
        read = [self._read(prefix) for prefix in prefixes]
        longest = max(len(prefix) for prefix in prefixes)
        stacked = []
        for layer in zip(*(states for states in read if states), strict=True):
            example = layer[0][0]
            parts = example.new_zeros((2, len(prefixes), example.shape[1], longest, example.shape[3]))
            filled = iter(layer)
            for slot, prefix in enumerate(prefixes):
                if prefix:
                    keys, values = next(filled)
                    parts[0, slot, :, : len(prefix)], parts[1, slot, :, : len(prefix)] = keys[0], values[0]
            stacked.append((parts[0], parts[1]))
        return stacked

    def _read(self, ids: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
        """Keys and values (1, heads, len(ids), width) of each layer after reading `ids`."""
        if not ids:
            return []
        cache = GrowingCache(self.model, len(ids))
        self.model(input_ids=self._tensor([list(ids)]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        return [layer.filled() for layer in cache.growing]

    def _tensor(self, rows: list[list[int]]) -> Tensor:
        return torch.tensor(rows, dtype=torch.long, device=self.device)

    def _padded_right(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        width = max(len(row) for row in rows)
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        return ids.to(self.device), mask.to(self.device)


# Tokens of one forward pass when reading likelihoods. More gains nothing: the matrix products are saturated, and
# activations that leave the processor's cache cost more than they save.
TOKENS_AT_ONCE = 2048

# How near (in hundredths of a nat) a float32 likelihood must lie to a rounding border to be computed again alone.
# Batched and lone sums were seen to differ by less than 2e-5 nats; this is 5 times that.
CLOSE_ROUNDING = 0.01

# The same for an expectation, in thousandths.
CLOSE_EXPECTATION = 0.1


class DecoderStreams:
    """Streams of a decoder-only model.

    Columns of the cache: [own part, padded left | written tokens]; the shared prefix stands before them, once for all
    rows (`attention.py`). Padding is masked and takes no position, so every row counts its own positions whatever its
    neighbours' lengths.
    """

    def __init__(
        self, llm: LanguageModel, rows: Sequence[tuple[tuple[int, ...], list[int]]], room: int, keep: int = 1
    ) -> None:
        self.llm = llm
        device = llm.device
        self.width = width = max(len(own) for _, own in rows)
        self.mask = torch.zeros((len(rows), width + room), dtype=torch.bool)
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        for i, (_, own) in enumerate(rows):
            self.mask[i, width - len(own) : width] = True
            ids[i, width - len(own) :] = torch.tensor(own)
        self.mask = self.mask.to(device)
        self.prefix = llm.shared_prefix([prefix for prefix, _ in rows])
        before = torch.tensor([[len(prefix)] for prefix, _ in rows], device=device)  # (rows, 1)
        positions = (self.mask[:, :width].long().cumsum(-1) - 1).clamp(min=0) + before
        self.position = positions[:, -1:] + 1  # (rows, 1) the next token's position
        self.cache = GrowingCache(llm.model, width + room)
        out = llm.model(
            input_ids=ids.to(device),
            attention_mask=self.mask[:, :width].long(),
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,
            **self._shared(),
        )
        self.kept: Tensor = out.logits  # (rows, keep, V)
        self.logits: Tensor = self.kept[:, -1]

    def _shared(self) -> dict[str, SharedPrefix]:
        return {} if self.prefix is None else {"prefix": self.prefix}

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        index = torch.tensor(list(rows), dtype=torch.long, device=self.llm.device)
        self.cache.select(index)
        self.prefix = None if self.prefix is None else self.prefix.select(index)
        self.mask, self.position, self.logits = self.mask[index], self.position[index], self.logits[index]

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> Tensor:
        self.mask[:, self.width] = True
        self.width += 1
        out = self.llm.model(
            input_ids=tokens.to(self.llm.device)[:, None],
            attention_mask=self.mask[:, : self.width].long(),
            position_ids=self.position,
            past_key_values=self.cache,
            use_cache=True,
            **self._shared(),
        )
        self.position = self.position + 1
        self.logits = out.logits[:, -1]
        return self.logits


class EncoderDecoderStreams:
    """Streams of an encoder-decoder model: prompts are encoded once, all rows stand at the same decoder position."""

    def __init__(self, llm: LanguageModel, prompts: list[list[int]], room: int) -> None:
        self.llm = llm
        inputs, self.mask = llm._padded_right(prompts)
        self.states: Any = llm.model.get_encoder()(input_ids=inputs, attention_mask=self.mask)
        self.written = GrowingCache(llm.model, room + 1)  # self-attention: grows with every token
        self.crossing = [DynamicLayer() for _ in self.written.growing]  # cross-attention: fixed by the prompt
        self.cache = EncoderDecoderCache(self.written, Cache(layers=list(self.crossing)))
        self.logits: Tensor
        start = llm.model.config.decoder_start_token_id
        self.step(torch.full((len(prompts),), start, dtype=torch.long))

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        index = torch.tensor(list(rows), dtype=torch.long, device=self.llm.device)
        self.written.select(index)
        for layer in self.crossing:
            layer.batch_select_indices(index)
        self.states.last_hidden_state = self.states.last_hidden_state[index]
        self.mask, self.logits = self.mask[index], self.logits[index]

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> Tensor:
        out = self.llm.model(
            encoder_outputs=self.states,
            attention_mask=self.mask,
            decoder_input_ids=tokens.to(self.llm.device)[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.logits = out.logits[:, -1]
        return self.logits


def _pieces(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Cut `order` into runs of places whose padded lengths add up to at most `TOKENS_AT_ONCE`."""
    piece: list[int] = []
    longest = 0
    for place in order:
        longest = max(longest, lengths[place])
        if piece and longest * (len(piece) + 1) > TOKENS_AT_ONCE:
            yield piece
            piece, longest = [], lengths[place]
        piece.append(place)
    if piece:
        yield piece


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many leading ids two sequences share."""
    count = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        count += 1
    return count


def _sum_of_log_probs(logits: Tensor, targets: list[list[int]], starts: list[int]) -> list[float]:
    """Sum over t of log softmax(logits[i, starts[i] + t])[targets[i][t]], in float32; logits (rows, T, V)."""
    row, column, token = list[int](), list[int](), list[int]()
    for i, (target, start) in enumerate(zip(targets, starts, strict=True)):
        row += [i] * len(target)
        column += range(start, start + len(target))
        token += target
    picked = logits[row, column].float()  # (all target tokens, V)
    wanted = torch.tensor(token, device=logits.device)
    log_probs = picked.gather(1, wanted[:, None])[:, 0] - picked.logsumexp(-1)  # (all target tokens,)
    sums: list[float] = []
    for part in log_probs.double().cpu().split([len(target) for target in targets]):
        sums.append(float(part.sum()))
    return sums
