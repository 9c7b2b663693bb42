"""`multicsr eval --scorer`: the LLM itself gives each pair of sentences a similarity; pairs -> metric ± error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multicsr.names import Plan, notes_of, reach
from multicsr.server import Server
from multicsr_cli import screen
from store.problem import Problem
from store.records import Run

if TYPE_CHECKING:
    from stages.tasks.sts import StsTask
    from store.database import Store
    from store.rows.training import MetricRow

Scorer = Annotated[
    str | None, typer.Option(metavar="LLM", help="Instead of MODEL: this LLM itself scores the pairs, from 0 to 5.")
]
By = Annotated[
    str | None,
    typer.Option(
        metavar="prompt|likelihood",
        help="With --scorer: how the LLM is read.",
        show_default="likelihood for smollm2, else prompt",
    ),
]
Shots = Annotated[
    int | None,
    typer.Option(metavar="K", help="With --scorer: the set's first K in-context examples.", show_default="all"),
]
Directions = Annotated[
    str | None,
    typer.Option(metavar="one|both", help="With likelihood: first to second, or both ways.", show_default="both"),
]
Expected = Annotated[bool, typer.Option("--expected", help="With prompt: the mean of 0 to 5 under the LLM.")]
Prompts = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="With --scorer: prompt set.", show_default="the one that suits the LLM"),
]
Dtype = Annotated[
    str | None, typer.Option(metavar="NAME", help="With --scorer: auto, float32 or bfloat16.", show_default="auto")
]


@dataclass(frozen=True)
class Asked:
    """The options that go with --scorer, as they were typed; None or False is one that was not given."""

    by: str | None
    shots: int | None
    directions: str | None
    expected: bool
    prompts: str | None
    dtype: str | None
    server: Server


def refuse_mixture(scorer: str | None, others: Mapping[str, Any], asked: Asked) -> None:
    """Raise Problem for an option that goes with --scorer alone or, of the `others`, never with it."""
    if scorer is None:
        for option, value in vars(asked).items():
            given = asked.server.given() if option == "server" else f"--{option}"
            if given and value is not None and value is not False:
                raise Problem(f"{given} goes with --scorer LLM", "leave it out")
        return
    for option, value in others.items():
        if value is not None and value is not False:
            shown = option if value is True else f"{option} {value}"
            raise Problem(f"{shown} does not go with --scorer {scorer}", "leave one of the two out")


def tasks_of_pairs(tasks: Sequence[Any], named: bool) -> list[StsTask]:
    """Those of `tasks` that are sentence pairs with gold scores. Raises Problem for another one if they were `named`."""
    from stages.tasks import sts

    others = [task.name for task in tasks if not isinstance(task, sts.StsTask)]
    if others and (named or len(others) == len(tasks)):
        raise Problem(f"--scorer cannot score {others[0]}: it has no scored sentence pairs", "give --tasks sts, say")
    if others:
        screen.say(f"no scored sentence pairs, left out: {', '.join(others)}")
    return [task for task in tasks if isinstance(task, sts.StsTask)]


def plan(
    scorer: str, tasks: Sequence[StsTask], asked: Asked, *, split: str, device: str, notes: Mapping[str, str]
) -> Plan:
    """Resolve names and settings into a config. Raises Problem before anything is written."""
    from stages import config as configs
    from stages.models import catalog
    from stages.texts import prompts as prompt_sets
    from stages.texts import similarity

    suits, usual = catalog.prompts_for(scorer)
    chosen, reading = prompt_sets.load(asked.prompts or suits), asked.by or usual
    found = reach(scorer, asked.server, device, asked.dtype or "auto", (similarity.END,))
    config = configs.JudgeConfig(
        model=scorer,
        model_fingerprint=found.fingerprint,
        prompts=chosen.name,
        prompts_digest=chosen.digest,
        by=reading,
        expected=asked.expected,
        directions=asked.directions or ("both" if reading == "likelihood" else "one"),
        shots=chosen.shots(reading) if asked.shots is None else asked.shots,
        dtype=found.dtype,
        tasks={task.name: task.digest for task in tasks},
        split=split,
        base_url=found.base_url,
    )
    chosen.with_shots(config.by, config.shots)  # refused here where there are not as many
    if asked.by is None and reading == "likelihood":
        screen.say(f"{scorer} is too small to answer with a number: scoring by likelihood (--by prompt asks it anyway)")
    return Plan(config, chosen, found.load, found.device, {**notes, **notes_of(prompts=asked.prompts)})


def make(store: Store, made: Plan, tasks: Sequence[StsTask], batch: int | None) -> tuple[Run, list[MetricRow]]:
    """Judge what is missing, and say which pairs no figure is over."""
    from stages import judge
    from store.rows import training

    ticks = judge.run(store, made.config, tasks, made.prompts, made.load, batch, made.device, made.notes)
    screen.drive_ticks(ticks, f"eval {made.config.model} by {made.config.by}", "pairs")
    run = store.begin("eval", judge.VERSION, made.config, None)
    rows = training.metrics(store, run)
    _warn(rows)
    return run, rows


def _warn(rows: Sequence[MetricRow]) -> None:
    correlated = {row.task for row in rows if row.name == "spearman" and not row.subset}
    for row in rows:
        if row.name == "unparsable" and row.value > 0:
            count = round(row.value * row.n / 100)
            screen.say(
                f"{row.task}: {count:,} of {row.n:,} replies hold no number from 0 to 5; the correlations are over the others"
            )
        if row.name == "unparsable" and row.task not in correlated:
            screen.say(f"{row.task}: no correlation: fewer than four pairs have a score, or all have the same")
