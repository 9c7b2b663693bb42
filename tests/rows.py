"""Rows for tests: small runs put into a real store through the store's own functions, and its content read back whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.config import CurateConfig, GenConfig, ScoreConfig
from store.database import Store
from store.records import DraftRow, Premise, Role, Run, ScoreRow
from store.rows import drafts, premises, scores

GEN = GenConfig(
    premises="made",
    llm="an-llm",
    llm_fingerprint="0" * 12,
    prompts="a-set",
    prompts_digest="1" * 12,
    omega=0.3,
    omega_contradiction=0.3,
    limit=None,
    seed=0,
    max_tokens=8,
    sample=False,
    temperature=None,
    top_p=None,
    dtype="float32",
)
SCORE = ScoreConfig(
    llm="an-llm",
    llm_fingerprint="0" * 12,
    prompts="a-set",
    prompts_digest="1" * 12,
    by="prompt",
    expected=False,
    shots=0,
    directions="one",
    dtype="float32",
)
CURATE = CurateConfig(alpha=3.0, beta=3.0, gamma=1.0)


@dataclass(frozen=True)
class Made:
    """One premise as a test wants it: texts, problems and scores of its two hypotheses."""

    x: str
    x_plus: str = "yes"
    x_minus: str = "no"
    e_problem: str | None = None
    c_problem: str | None = None
    a: float | None = None
    b: float | None = None


def add_premises(store: Store, texts: Sequence[str], source: str = "made") -> list[Premise]:
    """Import `texts` as one source; returns its premises in order."""
    list(premises.add(store, source, f"{source}.txt", "d" * 12, len(texts), enumerate(texts, start=1)))
    found = store.rows("SELECT id, text FROM premises WHERE source = ? ORDER BY position", [source])
    return [Premise(*row) for row in found]


def add_drafts(store: Store, run: Run, made: Iterable[tuple[Premise, Made]], prompt: str = "About {premise}:") -> None:
    """Store the two hypotheses of each premise and finish the gen run."""
    rows = []
    for premise, one in made:
        sides: tuple[tuple[Role, str, str | None], ...] = (
            ("entailment", one.x_plus, one.e_problem),
            ("contradiction", one.x_minus, one.c_problem),
        )
        for role, text, problem in sides:
            rows.append(DraftRow(premise.id, role, text, None, problem, prompt, len(text.split())))
    drafts.add(store, run, rows)
    store.finish(run, drafts.counts(store, run))


def scored(store: Store, made: Sequence[Made], source: str = "made") -> tuple[Run, Run, list[Premise]]:
    """A finished gen run and a finished score run over `made`."""
    there = add_premises(store, [one.x for one in made], source)
    gen = store.begin("gen", 1, GEN, None)
    add_drafts(store, gen, zip(there, made, strict=True))
    score = store.begin("score", 1, SCORE, gen.id)
    rows = []
    for premise, one in zip(there, made, strict=True):
        rows.append(ScoreRow(premise.id, "entailment", one.a, "" if one.a is None else str(one.a)))
        rows.append(ScoreRow(premise.id, "contradiction", one.b, "" if one.b is None else str(one.b)))
    scores.add(store, score, rows)
    store.finish(score, scores.counts(store, score))
    return store.run(gen.id), store.run(score.id), there


def content(store: Store) -> dict[str, list[Any]]:
    """Every row of every table, save the times at which things happened and where they ran."""
    kept: dict[str, list[Any]] = {}
    for table in ("premises", "prompts", "drafts", "scores", "decisions", "judgements", "steps", "masked", "metrics"):
        kept[table] = sorted(store.rows(f"SELECT * FROM {table}"), key=repr)
    kept["runs"] = sorted(store.rows("SELECT id, stage, version, parent, config, counts FROM runs"))
    return kept


def drafted(store: Store, run: Run) -> list[Any]:
    """The drafts of a run without row ids, which tell only the order of writing."""
    return store.rows(
        "SELECT premises.source, premises.position, role, drafts.text, raw, problem, prompts.text, tokens"
        " FROM drafts JOIN premises ON premises.id = premise JOIN prompts ON prompts.id = prompt"
        " WHERE run = ? ORDER BY 1, 2, 3",
        [run.id],
    )


def score_rows(store: Store, run: Run) -> list[Any]:
    """The scores of a run."""
    return store.rows(
        "SELECT premises.source, premises.position, role, value, reply FROM scores"
        " JOIN premises ON premises.id = premise WHERE run = ? ORDER BY 1, 2, 3",
        [run.id],
    )


def dump(path: Path) -> str | None:
    """The whole file as SQL text, or None where there is none: equal dumps hold equal rows."""
    if not path.exists():
        return None
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()
