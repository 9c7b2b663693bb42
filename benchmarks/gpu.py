"""What the claims about generation on a GPU share: models of the real shape with random weights, and what is measured.

Nothing is downloaded. Random weights cost what trained ones cost, as long as every row writes the same number of tokens:
no token ends a text here. Our side is the stage as it is (`gen.write` in batches that `--batch auto` sizes), the
reference what `benchmarks/generation.py` says, in batches of the same number of premises.

    time      ours and the reference in turn, in bfloat16
    same      both write the same texts for a few premises, in float32 (in bfloat16 near ties fall either way)
    memory    the most bytes held while 1 and 4 times as many premises are worked on
    shortage  with a part of the memory that was needed, the stage ends all the same, in smaller batches

On a CPU only `--quick` runs: tiny shapes, to know that the code works.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

from benchmarks import harness
from benchmarks.harness import Record, Settings
from stages import gen
from stages.config import GenConfig
from stages.files import sources as reading
from stages.models import device as devices
from stages.models.llm.model import LanguageModel
from stages.pace.batches import Batches
from stages.texts import hypotheses, prompts
from stages.texts.prompts import PromptSet
from store.problem import Problem
from store.records import ROLES, DraftRow, Premise

OMEGA = 0.3
ROUNDS = 3  # at most: the whole of it is to end within minutes
MERGES = 3000  # trained pieces of the tokenizer: captions then have about as many tokens as with the real ones
SHORT = 0.4  # of the memory that a batch needed, in the shortage
EQUAL_TEXTS = 0.9  # at least, in float32: random weights have ties that the order of a sum decides
GROWTH = 1.05  # of memory from 1 to 4 times as many premises, at most: batches differ in their longest prompt

Reference = Callable[..., list[str]]


@dataclass(frozen=True)
class Claim:
    """One model family: the config of its real and of its tiny shape, the bundled prompts it is asked with."""

    name: str
    claim: str
    reference: str
    shape: Any
    tiny: Any
    prompts: str
    write: Reference


@dataclass(frozen=True)
class Sizes:
    """How much is done. `alike`: premises written in float32 by both sides."""

    premises: int
    new_tokens: int
    alike: int


REAL = Sizes(premises=512, new_tokens=24, alike=8)
TINY = Sizes(premises=6, new_tokens=4, alike=3)


def measure(claim: Claim, settings: Settings) -> Record:
    """One record. Raises ValueError where texts differ, memory grows, or the shortage is not survived."""
    where = device(settings)
    sizes = TINY if settings.quick else REAL
    llm = language_model(claim.tiny if settings.quick else claim.shape, where)
    bench = Bench(llm, prompts.load(claim.prompts), sizes.new_tokens, claim.write)
    once, four_times = premises(sizes.premises), premises(4 * sizes.premises)
    chosen = bench.capacity(once)
    found, *_ = harness.race(
        lambda: bench.ours(once), lambda: bench.reference(once, chosen), min(settings.rounds, ROUNDS)
    )
    peaks = {name: peak(where, lambda part=part: bench.ours(part)) for name, part in (("1x", once), ("4x", four_times))}  # type: ignore[misc]
    if where.type == "cuda" and peaks["4x"] > GROWTH * peaks["1x"]:
        raise ValueError(f"memory grows with the premises: {peaks}")
    survived = bench.in_shortage(once, peaks["1x"])
    limit = harness.limit(bench.flop(once), bench.moved(once, chosen), "bfloat16", settings.device)
    return Record(
        name=claim.name,
        claim=claim.claim,
        reference=claim.reference,
        at_least=3.0,
        unit="premises",
        count=len(once),
        race=found,
        limit=limit,
        same=bench.alike(once[: sizes.alike]),
        sizes={
            "model": shown(llm.model.config),
            "parameters": sum(weight.numel() for weight in llm.model.parameters()),
            "dtype": "bfloat16",
            "omega": OMEGA,
            "new_tokens": sizes.new_tokens,
            "prompt_tokens": bench.prompt_tokens(once),
            "batch": chosen,
        },
        extra={"peak_bytes": peaks, "batch_auto": chosen, "shortage": survived},
    )


def device(settings: Settings) -> torch.device:
    """The device asked for. Ends the program in one line where it is not there, or could only give empty figures."""
    try:
        where = torch.device(devices.device(settings.device))
    except Problem as problem:
        raise SystemExit(
            f"error: {problem.what}; the GPU's benchmarks can be tried with --device cpu --quick"
        ) from None
    if where.type != "cuda" and not settings.quick:
        raise SystemExit(
            "error: these figures are for a GPU: give --device cuda, or --device cpu --quick to try the code"
        )
    return where


class Bench:
    """A model at work on premises, by our side and by the reference."""

    def __init__(self, llm: LanguageModel, asked: PromptSet, new_tokens: int, write: Reference) -> None:
        self.llm = llm
        # No text ends before its last token: neither by a newline nor by a full stop.
        self.prompts = replace(asked, stop=("\0",), one_sentence=False)
        self.config = GenConfig(
            premises="made",
            llm="random",
            llm_fingerprint="0" * 12,
            prompts=asked.name,
            prompts_digest=asked.digest,
            omega=OMEGA,
            omega_contradiction=OMEGA,
            limit=None,
            seed=0,
            max_tokens=new_tokens,
            sample=False,
            temperature=None,
            top_p=None,
            dtype="bfloat16",
        )
        self.write = write

    def capacity(self, part: Sequence[Premise]) -> int:
        """The batch that `--batch auto` chooses at first."""
        return min(len(part), gen.capacity(part[0], self.config, self.prompts, self.llm))

    def ours(self, part: Sequence[Premise], batches: Batches | None = None) -> list[DraftRow]:
        """Both hypotheses of every premise, as the stage computes them."""
        by_premise: dict[int, list[DraftRow]] = {}
        for written in (batches or Batches(None, "premises", str(self.llm.device))).flow(
            part,
            lambda premise: gen.capacity(premise, self.config, self.prompts, self.llm),
            lambda some, at_once: gen.write(some, at_once, self.config, self.prompts, self.llm),
        ):
            by_premise |= {rows[0].premise: rows for _, rows in written}
        return [row for premise in part for row in by_premise[premise.id]]

    def reference(self, part: Sequence[Premise], batch: int) -> list[str]:
        """The same by the reference: all entailments, then all contradictions."""
        asked = [self._asked(part, role) for role in ROLES]
        written: list[str] = []
        for own, noise in (asked, asked[::-1]):
            written += self.write(
                self.llm.model,
                self.llm.tokenizer,
                own,
                noise,
                omega=OMEGA,
                batch=batch,
                max_new_tokens=self.config.max_tokens,
                ends=frozenset(),
            )
        return written

    def _asked(self, part: Sequence[Premise], role: Any) -> list[str]:
        draw = self.prompts.template(role).draw
        return [draw(self.config.seed, role, one.text).replace("{premise}", one.text) for one in part]

    def alike(self, part: Sequence[Premise]) -> str:
        """How many texts are equal in float32. Raises ValueError where too few are. The weights stay float32."""
        exact = LanguageModel(self.llm.model.float(), self.llm.tokenizer, self.llm.name)
        bench = Bench(exact, self.prompts, self.config.max_tokens, self.write)
        ours = [(row.raw or row.text).strip() for role in ROLES for row in bench.ours(part) if row.role == role]
        theirs = [text.strip() for text in bench.reference(part, len(part))]
        equal = sum(ours[place].partition("\n")[0].strip() == text for place, text in enumerate(theirs))
        if equal < EQUAL_TEXTS * len(theirs):
            raise ValueError(f"only {equal} of {len(theirs)} texts are equal in float32")
        return f"{equal} of {len(theirs)} texts equal in float32"

    def in_shortage(self, part: Sequence[Premise], needed: int) -> dict[str, Any]:
        """All premises in one batch, asked for, with too little memory for it: what became of the batch size."""
        batches = Batches(len(part), "premises", str(self.llm.device))
        with shortage(self.llm, needed, len(part)):
            rows = self.ours(part, batches)
            chosen = self.capacity(part)
        if len(rows) != len(ROLES) * len(part) or batches.most >= len(part):
            raise ValueError(f"{len(rows)} rows in batches of at most {batches.most}: there was no shortage, or it won")
        return {"asked": len(part), "ended_with": batches.most, "auto_would_choose": chosen}

    def prompt_tokens(self, part: Sequence[Premise]) -> float:
        """Mean length of a prompt."""
        lengths = [len(self.llm.ids(text)) for role in ROLES for text in self._asked(part, role)]
        return round(sum(lengths) / len(lengths), 1)

    def flop(self, part: Sequence[Premise]) -> float:
        """Two operations a weight and token: what is read of each prompt once (a shared beginning not at all), and four
        streams of written tokens. Attention is left out; it is a few hundredths at these lengths."""
        _, asked = hypotheses.ask(part, self.config, self.prompts, self.llm)
        read = 0
        for prompt in asked:
            ids = self.llm.ids(prompt.text)
            read += len(ids) - self.llm.shared(prompt, ids)
        written = 4 * self.config.max_tokens * len(part)
        config = self.llm.model.config.get_text_config(decoder=True)
        reading, writing = ("encoder.block.", "decoder.block.") if self.llm.encoder_decoder else ("layers.", "layers.")
        head = config.hidden_size * config.vocab_size
        return float(2 * (self._weights(reading) * read + (self._weights(writing) + head) * written))

    def _weights(self, inside: str) -> int:
        return sum(weight.numel() for name, weight in self.llm.model.named_parameters() if inside in name)

    def moved(self, part: Sequence[Premise], batch: int) -> float:
        """All weights once a step."""
        weights = sum(weight.numel() * weight.element_size() for weight in self.llm.model.parameters())
        return float(weights * self.config.max_tokens * -(-len(part) // batch))


def premises(count: int) -> list[Premise]:
    """`count` bundled sentences, the longest first as the stage takes them; over again where there are fewer."""
    texts = [text for _, text in reading.bundled().texts()]
    found = [Premise(place, texts[place % len(texts)]) for place in range(count)]
    return sorted(found, key=lambda premise: -len(premise.text))


def peak(where: torch.device, work: Callable[[], object]) -> int:
    """The most bytes held while `work` runs: of the GPU, or of the whole process so far on a CPU."""
    if where.type != "cuda":
        work()
        return harness.peak_memory()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(where)
    work()
    return torch.cuda.max_memory_allocated(where)


@contextmanager
def shortage(llm: LanguageModel, needed: int, count: int) -> Iterator[None]:
    """Within the context the GPU has SHORT of what the work on top of the weights `needed`; the tiny model on a CPU
    refuses rows in their stead."""
    if llm.device.type == "cuda":
        torch.cuda.empty_cache()
        held = torch.cuda.memory_allocated(llm.device)
        total = torch.cuda.get_device_properties(llm.device).total_memory
        torch.cuda.set_per_process_memory_fraction((held + SHORT * (needed - held)) / total, llm.device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, llm.device)
        return

    def refuse(_module: Any, args: Any, kwargs: Any) -> None:
        if any(isinstance(value, torch.Tensor) and len(value) > 2 * count for value in (*args, *kwargs.values())):
            raise torch.OutOfMemoryError("more rows than the shortage allows")

    hook = llm.model.register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def language_model(config: Any, where: torch.device) -> LanguageModel:
    """A model of the config's shape with random weights in bfloat16, made on the device; no token ends a text."""
    torch.manual_seed(0)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with where:
        model = kind.from_config(config, dtype=torch.bfloat16)
    model.generation_config.eos_token_id = None
    return LanguageModel(model, tokenizer(config.vocab_size), "random")


@cache
def tokenizer(size: int) -> PreTrainedTokenizerFast:
    """Byte-level pieces trained on the bundled sentences and prompts; the rest of the `size` ids are words that can be
    written and read back, but that no prompt is cut into."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    pieces = trainers.BpeTrainer(
        vocab_size=min(MERGES, size // 2),
        special_tokens=["<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    sets = [prompts.load(name).toml for name in prompts.names()]
    inner.train_from_iterator([*(text for _, text in reading.bundled().texts()), *sets], pieces)
    document = json.loads(inner.to_str())
    known = document["model"]["vocab"]
    known.update({f"Ġword{place}": place for place in range(len(known), size)})
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(document)), pad_token="<pad>")


def shown(config: Any) -> str:
    """The shape in words."""
    text = config.get_text_config(decoder=True)
    return (
        f"{config.model_type}, {text.num_hidden_layers} layers, width {text.hidden_size}, vocabulary {text.vocab_size}"
    )
