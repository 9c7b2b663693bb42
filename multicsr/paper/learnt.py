"""What several rows tell that no claim of the paper is about. Arrow: documents of experiments -> sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from multicsr.paper.experiments.t1 import ASKED, BY_LIKELIHOOD
from multicsr.report.blocks import Block, Heading, Points

Documents = Mapping[str, Mapping[str, Any]]  # by the experiment's name


def blocks(documents: Documents) -> list[Block]:
    """A heading each question that the documents answer, and the answer."""
    told: list[Block] = []
    for question, answer in LEARNT.items():
        if said := answer(documents):
            told += [Heading(question, 3), Points(said)]
    return told


def _scores(documents: Documents) -> list[str]:
    """Likelihood against asked-for scores, by LLM."""
    rows: Mapping[str, Mapping[str, float]] = documents.get("t1", {}).get("rows", {})
    said, llms = [], set()
    for name, likely in rows.items():
        llm, _, how = name.rpartition(", ")
        asked = rows.get(f"{llm}, {how.replace(BY_LIKELIHOOD, ASKED)}") or rows.get(f"{llm}, {ASKED}", {})
        if how.startswith(BY_LIKELIHOOD):
            llms.add(llm)
            said += [
                f"{llm} on {task}: Spearman {likely[task]:.2f} {how}, {asked[task]:.2f} asked for a number."
                for task in sorted(likely.keys() & asked.keys())
            ]
    if len(llms) == 1:
        said.append(
            f"{llms.pop()} is the only LLM at this scale: nothing here tells how this changes with an LLM's size."
        )
    return said


def _contrast(documents: Documents) -> list[str]:
    """ω against distinct contradictions."""
    rows = documents.get("f5", {}).get("rows", [])
    if len(rows) < 3:
        return []
    rho = stats.spearmanr([row["omega"] for row in rows], [row["distinct"] for row in rows]).statistic
    most = max(rows, key=lambda row: float(row["distinct"]))
    least = min(rows, key=lambda row: float(row["distinct"]))
    return [
        f"ω against the share of distinct contradictions over {len(rows)} values: rank correlation {rho:+.2f};"
        f" the most, {most['distinct']:.1f} %, at ω {most['omega']:g}, the fewest, {least['distinct']:.1f} %, at ω"
        f" {least['omega']:g}."
    ]


def _mask(documents: Documents) -> list[str]:
    """Thresholds by base: how much each masks, and the best and the worst beside the base as it is."""
    bases: dict[str, list[Any]] = {}
    for row in documents.get("f6", {}).get("rows", []):
        bases.setdefault(row["varied"]["base"], []).append(row)
    said = []
    for base, (alone, *rows) in bases.items():
        masked = [(_threshold(row), row["masked_share"]) for row in rows if row["masked_share"] is not None]
        if masked:
            shares = ", ".join(f"{100 * share:.2f} % by {name}" for name, share in masked)
            said.append(f"Masked with {base}: {shares}.")
        for task, (before,) in alone["figures"].items():
            best, worst = _extremes(rows, task)
            said.append(
                f"{base} on {task} ({before:.2f} as it is): the best {best}, the worst {worst}, means over seeds."
            )
    return said


def _few(documents: Documents) -> list[str]:
    """How few triplets are enough: what each number gains over the base."""
    base, *rows = documents.get("sizes", {}).get("rows", [{}])
    said = []
    for task, (before,) in base.get("figures", {}).items():
        gains = [f"{row['setting']} {float(np.mean(row['figures'][task])) - before:+.2f}" for row in rows]
        said.append(f"Gained over the base ({before:.2f}) on {task}: {'; '.join(gains)}; means over seeds.")
    return said


def _extremes(rows: Sequence[Mapping[str, Any]], task: str) -> tuple[str, str]:
    """The best and the worst row on a task, as they are shown."""
    means = {_threshold(row): float(np.mean(row["figures"][task])) for row in rows if row["figures"][task]}
    ordered = sorted(means, key=lambda name: means[name])
    best, worst = (f"{means[name]:.2f} ({name})" for name in (ordered[-1], ordered[0]))
    return best, worst


def _threshold(row: Mapping[str, Any]) -> str:
    """How a row of f6 is masked: its name without the base's."""
    return str(row["setting"]).removeprefix(f"{row['varied']['base']}, ")


LEARNT: Mapping[str, Callable[[Documents], list[str]]] = {
    "Likelihood against asked-for scores, by LLM": _scores,
    "ω against distinct contradictions": _contrast,
    "σ by base model": _mask,
    "How few triplets are enough": _few,
}
