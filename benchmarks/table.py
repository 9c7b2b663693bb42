"""The records as a table: for the terminal, and between two marks in README.md, so that no figure there is typed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from store import whole

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks: made by `python -m benchmarks --readme` -->", "<!-- end of benchmarks -->"

Document = dict[str, Any]

# In the order of the table.
NAMES = (
    "gen_decoder",
    "gen_encoder_decoder",
    "score_likelihood",
    "score_prompt",
    "train_step",
    "train_step_bfloat16",
    "encode",
    "write_rows",
    "curate",
    "curate_again",
    "inspect_rejected",
    "browse",
    "resume_check",
    "probe",
)

# Asked for by name, or all at once as `gpu`: `python -m benchmarks gpu --device cuda`.
GPU = ("gpu_gen_decoder", "gpu_gen_encoder_decoder", "gpu_train_step")


def read(folder: Path) -> list[Document]:
    """All records of a folder, in the order in which they are measured."""
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for name in (*NAMES, *GPU)
        if (path := folder / f"{name}.json").is_file()
    ]


def line(record: Document) -> str:
    """One record in one line."""
    if "at_most" in record:
        return f"{record['name']}: {_figure(record['measured'])} (asked: at most {_figure(record['at_most'])})"
    asked = f" (asked: {record['at_least']:g}×)" if record["at_least"] else ""
    return f"{record['name']}: {record['ratio']:.2f}×{asked}, {_rate(record)}"


def markdown(records: Sequence[Document]) -> str:
    """A Markdown table, one row a claim."""
    rows = [
        "| claim | against | ratio | asked | ours | of the machine's limit |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for record in records:
        if "at_most" in record:
            rows.append(
                f"| {record['claim']} | - | - | at most {_figure(record['at_most'])} | {_figure(record['measured'])} | - |"
            )
            continue
        asked = f"{record['at_least']:g}×" if record["at_least"] else "-"
        share = f"{record['limit']['share_reached'] * 100:.0f} %" if record.get("limit") else "-"
        rows.append(
            f"| {record['claim']} | {record['reference']} | {record['ratio']:.2f}× | {asked} | {_rate(record)} | {share} |"
        )
    return "\n".join(rows)


def into_readme(folder: Path) -> None:
    """Replace what stands between the two marks of README.md by the table of the records in `folder`."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    whole.write(README, f"{before}{BEGIN}\n{section(read(folder))}\n{END}{after}")


def section(records: Sequence[Document]) -> str:
    """The table with where and when it was measured."""
    days = sorted({record["date"] for record in records})
    named = [_machine(record["machine"]) for record in records]
    places: dict[str, list[str]] = {}
    for row, name in enumerate(named, 1):
        # A benchmark that never loads torch does not know the processor's features; another one of the same machine does.
        fullest = max((other for other in named if other.startswith(name)), key=len)
        places.setdefault(fullest, []).append(str(row))
    # A ratio belongs to the machine it was seen on.
    which = {name: f" (rows {', '.join(rows)})" if len(places) > 1 else "" for name, rows in places.items()}
    libraries = {name: found for record in records for name, found in record["versions"].items()}
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    stack = ", ".join(f"{name} {found}" for name, found in sorted(libraries.items()))
    where = " and ".join(name + which[name] for name in places)
    return f"\n{markdown(records)}\n\nMeasured {when} on {where}; {stack}.\n"


def _machine(machine: Document) -> str:
    features = f" with {machine['features'][0]}" if machine.get("features") else ""
    return machine.get("gpu") or f"{machine['cores']} cores of an {machine['processor']}{features}"


def _figure(figure: Document) -> str:
    """Seconds, and megabytes where memory was asked for."""
    memory = f", {figure['bytes'] / 1e6:,.0f} MB" if figure["bytes"] else ""
    return f"{figure['seconds']:g} s{memory}"


def _rate(record: Document) -> str:
    if record["extra"].get("shown"):
        return str(record["extra"]["shown"])
    return f"{record['ours_per_second']:,.1f} {record['unit']}/s"
