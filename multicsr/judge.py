"""Evaluation of an LLM as scorer of sentence pairs. Arrow: sentence pairs -> metric ± error; here, settings -> a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

from multicsr.evaluate import Tasks
from multicsr.job import Job, Means
from multicsr.means.names import notes_of, reach
from multicsr.means.server import NOWHERE, Server
from stages.config import EvalConfig, JudgeConfig
from stages.settings import complete, settings_of
from stages.stage import Notes
from store.problem import Problem

if TYPE_CHECKING:
    from stages.tasks.sts import StsTask
    from stages.tasks.task import Task
    from store.database import Store
    from store.rows.training import MetricRow


def job(
    store: Store,
    scorer: str,
    tasks: Sequence[Task],
    *,
    means: Means = Means(),
    server: Server = NOWHERE,
    notes: Notes | None = None,
    **told: Any,
) -> Job:
    """The LLM called `scorer`, on this machine or behind a `server`, as scorer of the pairs of `tasks`.

    `told` are settings of JudgeConfig; what is not told suits the LLM. `notes` say where the tasks lie; of `Tasks` that is
    known. Raises Problem for a task without scored pairs and for what cannot be asked so, before anything is written.
    """
    from stages import judge as stage
    from stages.models import catalog
    from stages.texts import prompts as prompt_sets
    from stages.texts import similarity

    pairs, _ = tasks_of_pairs(tasks, named=True)
    whole = complete(JudgeConfig, told)
    prompts, (suits, usual) = whole.pop("prompts", None), catalog.prompts_for(scorer)
    asked, by = prompt_sets.load(prompts or suits), whole.pop("by", usual)
    shots, directions = whole.pop("shots", None), whole.pop("directions", "both" if by == "likelihood" else "one")
    reached = reach(scorer, server, means.device, whole.pop("dtype", "auto"), (similarity.END,))
    config = JudgeConfig(
        **whole,
        model=scorer,
        model_fingerprint=reached.fingerprint,
        prompts=asked.name,
        prompts_digest=asked.digest,
        by=by,
        directions=directions,
        shots=asked.shots(by) if shots is None else shots,
        dtype=reached.dtype,
        tasks={task.name: task.digest for task in pairs},
        base_url=reached.base_url,
    )
    asked.with_shots(config.by, config.shots)  # refused here where there are not as many
    places = {**(pairs.places if notes is None else notes), **notes_of(prompts=prompts)}
    start = partial(stage.run, store, config, pairs, asked, reached.load, means.batch, reached.device, places)
    return Job(store, "eval", stage.VERSION, config, None, start, f"eval {scorer} by {config.by}", "pairs")


def refuse_mixture(scorer: str | None, told: Mapping[str, Any]) -> None:
    """Raise Problem for a setting of an LLM's evaluation where no `scorer` is named, and for any other where one is.

    `told` are settings of both evaluations and of a server by their names; None and False are settings that are not told.
    """
    encoders, llms = ({setting.name for setting in settings_of(config)} for config in (EvalConfig, JudgeConfig))
    llms |= {field.name for field in fields(Server)}
    for name, value in told.items():
        if value is None or value is False:
            continue
        if scorer is None and name in llms - encoders:  # without its value: a URL may hold a key
            raise Problem(f"{name} goes with scorer=LLM", "leave it out", name)
        if scorer is not None and name not in llms:
            shown = name if value is True else f"{name} {value}"
            raise Problem(f"{shown} does not go with scorer={scorer}", "leave one of the two out", name)


def tasks_of_pairs(tasks: Sequence[Task], named: bool) -> tuple[Tasks[StsTask], list[str]]:
    """Those of `tasks` that are sentence pairs with gold scores, and the names of the others.

    Raises Problem where there are others and the tasks were `named`, or nothing but others.
    """
    from stages.tasks import sts

    pairs: list[StsTask] = [task for task in tasks if isinstance(task, sts.StsTask)]
    others = [task.name for task in tasks if not isinstance(task, sts.StsTask)]
    if others and (named or not pairs):
        raise Problem(
            f"scorer cannot score {others[0]}: it has no scored sentence pairs", "give tasks=sts, say", "scorer"
        )
    return (tasks.among(pairs) if isinstance(tasks, Tasks) else Tasks(pairs)), others


def news(rows: Sequence[MetricRow]) -> list[str]:
    """Which pairs the figures of a finished evaluation are not over, a line each."""
    correlated = {row.task for row in rows if row.name == "spearman" and not row.subset}
    lines = []
    for row in (row for row in rows if row.name == "unparsable"):
        if row.value > 0:
            count = round(row.value * row.n / 100)
            lines.append(
                f"{row.task}: {count:,} of {row.n:,} replies hold no number from 0 to 5; the correlations are over the others"
            )
        if row.task not in correlated:
            lines.append(f"{row.task}: no correlation: fewer than four pairs have a score, or all have the same")
    return lines
