"""What `inspect` and `runs` show: rows of triplets with their decisions, the funnel, the list of runs. Reads only."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, NamedTuple

from store.database import Store
from store.records import Run
from store.rows import reviews
from store.rows.drafts import FIRST

# Of a funnel, in their order; a run of pairs counts rewrites where others count premises.
LEVELS = ("premises", "rewrites", "generated", "scored", "kept")


class Row(NamedTuple):
    """One premise with what became of it."""

    premise: str
    entailment: str
    contradiction: str
    a: float | None
    b: float | None
    verdict: str | None
    reason: str | None
    premise_id: int


class View(NamedTuple):
    """The runs behind a listing: decisions, scores and drafts, as far as they exist."""

    gen: Run
    score: Run | None
    curate: Run | None


def view(store: Store, run: Run) -> View:
    """What there is to see of a gen, score or curate run."""
    if run.stage == "gen":
        return View(run, None, None)
    if run.stage == "score":
        return View(store.parent(run), run, None)
    score = store.parent(run)
    return View(store.parent(score), score, run)


def rows(
    store: Store,
    shown: View,
    *,
    rejected: bool = False,
    reason: str | None = None,
    search: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[Row]:
    """A page of rows in the order of their premises. `search` finds words in premises and hypotheses."""
    where, values = ["TRUE"], _runs(shown)
    if rejected:
        where.append("verdict = 'drop'")
    if reason is not None:
        where.append("reason = :reason")
        values["reason"] = reason
    if search is not None:
        where.append(
            "premise IN (SELECT rowid FROM premises_fts WHERE premises_fts MATCH :search"
            " UNION SELECT premise FROM drafts WHERE run = :gen AND id IN"
            " (SELECT rowid FROM drafts_fts WHERE drafts_fts MATCH :search))"
        )
        values["search"] = _words(search)
    if shown.curate is not None:
        every = "SELECT premise, verdict, reason FROM decisions WHERE run = :curate"
    else:
        every = (
            "SELECT drafts.premise, reviewed.verdict, iif(reviewed.verdict = 'drop', 'review', NULL) AS reason FROM drafts"
            " LEFT JOIN reviewed ON reviewed.run = :gen AND reviewed.premise = drafts.premise"
            " WHERE drafts.run = :gen AND role = 'entailment'"
        )
    # The page is chosen by numbers alone; texts are read for its rows only.
    found = store.rows(
        f"WITH page AS MATERIALIZED (SELECT * FROM ({every}) WHERE {' AND '.join(where)}"
        " ORDER BY premise LIMIT :limit OFFSET :offset)"
        " SELECT premises.text, e.text, c.text, se.value, sc.value, page.verdict, page.reason, page.premise"
        " FROM page JOIN premises ON premises.id = page.premise"
        " JOIN drafts AS e ON e.run = :gen AND e.premise = page.premise AND e.role = 'entailment'"
        " JOIN drafts AS c ON c.run = :gen AND c.premise = page.premise AND c.role = 'contradiction'"
        " LEFT JOIN scores AS se ON se.run = :score AND se.premise = page.premise AND se.role = 'entailment'"
        " LEFT JOIN scores AS sc ON sc.run = :score AND sc.premise = page.premise AND sc.role = 'contradiction'"
        " ORDER BY page.premise",
        {**values, "limit": limit, "offset": offset},
    )
    return [Row(*row) for row in found]


def funnel(store: Store, shown: View) -> dict[str, Any]:
    """How many premises reached each level, as far as the run goes, and the reasons of those dropped.

    A curate run has counted what its rule does. Decisions that persons turned are put into these counts, and where there are
    any, `kept_by_review` and `dropped_by_review` tell them apart.
    """
    if shown.curate is not None and shown.curate.finished:
        counts = shown.curate.counts
        levels = {name: counts["funnel"][name] for name in LEVELS if name in counts["funnel"]}
        levels["dropped"] = counts["dropped"]
        why, turned = Counter[str](counts["reasons"]), Counter[str]()
        for (verdict, reason), count in reviews.turned(store, shown.curate).items():
            sign = 1 if verdict == "keep" else -1
            levels["kept"] += sign * count
            levels["dropped"] -= sign * count
            why[reason or "review"] -= sign * count
            turned["kept_by_review" if verdict == "keep" else "dropped_by_review"] += count
        ordered = sorted((+why).items(), key=lambda why: (-why[1], why[0]))
        return {**levels, **turned, "reasons": dict(ordered)}
    (premises, generated) = store.one(
        "SELECT count(*), count(*) FILTER (WHERE e.problem IS NULL AND c.problem IS NULL) FROM drafts AS e"
        " JOIN drafts AS c ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
        " WHERE e.run = ? AND e.role = 'entailment'",
        [shown.gen.id],
    )
    found: dict[str, Any] = {"premises": premises, "generated": generated}
    if shown.score is not None:
        (found["scored"],) = store.one(
            "SELECT count(*) FROM scores AS e JOIN scores AS c"
            " ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
            " WHERE e.run = ? AND e.role = 'entailment' AND e.value NOTNULL AND c.value NOTNULL",
            [shown.score.id],
        )
    return found


def reasons(store: Store, curate: Run) -> list[str]:
    """The reasons that occur in a curate run."""
    if curate.finished:
        return sorted(funnel(store, view(store, curate))["reasons"])
    return [
        row[0]
        for row in store.rows(
            "SELECT DISTINCT reason FROM decisions WHERE run = ? AND reason NOTNULL ORDER BY reason", [curate.id]
        )
    ]


def environment(store: Store, run: Run) -> dict[str, str]:
    """Library versions and device that a run was begun with."""
    (found,) = store.one("SELECT environment FROM runs WHERE id = ?", [run.id])
    versions: dict[str, str] = json.loads(found)
    return versions


class Listed(NamedTuple):
    """One run as `multicsr runs` lists it."""

    run: Run
    started: str
    done: int


def runs(store: Store) -> list[Listed]:
    """Every run, oldest first, with the premises (train: steps) it has done. A finished run has counted them already."""
    return [
        Listed(Run(row[0], row[1], row[2], row[3], json.loads(row[4]), row[5], json.loads(row[6])), row[7], row[8])
        for row in store.rows(
            "SELECT id, stage, version, parent, config, finished, counts, started, CASE stage"
            " WHEN 'gen' THEN coalesce(counts ->> 'premises',"
            f" (SELECT count(*) FROM drafts WHERE run = runs.id AND {FIRST}))"
            " WHEN 'score' THEN coalesce(iif(finished NOTNULL,"
            " (SELECT counts ->> 'premises' FROM runs AS gen WHERE gen.id = runs.parent), NULL),"
            f" (SELECT count(*) FROM scores WHERE run = runs.id AND {FIRST}))"
            " WHEN 'curate' THEN coalesce(counts ->> 'premises', (SELECT count(*) FROM decisions WHERE run = runs.id))"
            " WHEN 'train' THEN (SELECT count(*) FROM steps WHERE run = runs.id)"
            " ELSE (SELECT count(DISTINCT task) FROM metrics WHERE run = runs.id) END"
            " FROM runs ORDER BY started, rowid"
        )
    ]


class Standing(NamedTuple):
    """One figure of a whole task. `setting` is all that the evaluation was asked for save its tasks and the analysis beside
    them; `trained` is the train run the model comes from, if any."""

    model: str
    setting: dict[str, Any]
    trained: str | None
    task: str
    metric: str
    value: float
    error: float | None
    n: int
    run: str


def leaderboard(store: Store) -> list[Standing]:
    """The figures of finished evaluations, oldest first, so that the last of several is the newest."""
    return [
        Standing(row[0], json.loads(row[1]), *row[2:])
        for row in store.rows(
            "SELECT model, json_remove(runs.config, '$.tasks', '$.analysis'), trained, task, metric, value, error, n, run"
            " FROM leaderboard JOIN runs ON runs.id = run WHERE subset = '' ORDER BY runs.finished, runs.rowid"
        )
    ]


class Written(NamedTuple):
    """What a gen run wrote, against its premises: shares of all premises."""

    premises: int
    entailment_copies: float
    contradiction_copies: float
    distinct_contradictions: float


def written(store: Store, gen: Run) -> Written:
    """How often hypotheses copy their premise (case, punctuation and spacing aside), and how varied contradictions are."""
    from store.rows.decisions import plain

    store.connection.create_function("plain", 1, plain, deterministic=True)
    count, *found = store.one(
        "SELECT count(*), count(*) FILTER (WHERE plain(premises.text) = plain(e.text)),"
        " count(*) FILTER (WHERE plain(premises.text) = plain(c.text)), count(DISTINCT plain(c.text)) FROM drafts AS e"
        " JOIN drafts AS c ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
        " JOIN premises ON premises.id = e.premise WHERE e.run = ? AND e.role = 'entailment'",
        [gen.id],
    )
    return Written(count, *(number / max(count, 1) for number in found))


def ordered_share(store: Store, score: Run) -> float:
    """The share of scored premises whose entailment scores above their contradiction (a > b)."""
    (share,) = store.one(
        "SELECT coalesce(avg(e.value > c.value), 0.0) FROM scores AS e JOIN scores AS c"
        " ON c.run = e.run AND c.premise = e.premise AND c.role = 'contradiction'"
        " WHERE e.run = ? AND e.role = 'entailment' AND e.value NOTNULL AND c.value NOTNULL",
        [score.id],
    )
    return float(share)


def _runs(shown: View) -> dict[str, Any]:
    return {
        "gen": shown.gen.id,
        "score": shown.score.id if shown.score else None,
        "curate": shown.curate.id if shown.curate else None,
    }


def _words(search: str) -> str:
    """What the user typed as a full-text query: all its words, the last one as a beginning; no query syntax."""
    words = re.findall(r"\w+", search)
    quoted = [f'"{word}"' for word in words]
    return " ".join(quoted) + "*" if quoted else '""'
