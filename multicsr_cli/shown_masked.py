"""`multicsr inspect TRAIN --masked`: the negatives that a training's mask removed, on the screen."""

from __future__ import annotations

from multicsr_cli import screen
from store.database import Store
from store.read import masked
from store.read.masked import ListedMasked, Mask
from store.records import Run

# A hypothesis that says what the own positive says is no negative, however low P's cosine.
REPEATS = "a cosine below σ: the negative repeats the premise's own positive, and is always masked"

# By how much two cosines of the same float32 vectors differ at most where their products are summed in another order.
ROUNDING = 1e-5


def show(store: Store, run: Run, json: bool, *, search: str | None, limit: int, offset: int) -> None:
    """Print a page of the masked pairs of a train run. Raises Problem where it has no mask, or is not finished."""
    mask, number = masked.mask(run), masked.count(store, run)
    rows = masked.listed(store, run, search=search, limit=limit, offset=offset)
    if json:
        told = {
            "run": run.id,
            "mask_model": mask.model,
            "sigma": mask.sigma,
            "masked_share": mask.share,
            "pairs": number,
        }
        screen.document({**told, "rows": [row._asdict() for row in rows]})
        return
    facts = {"mask model": mask.model, "masked from": threshold(mask), "masked": share(mask), "pairs stored": number}
    screen.facts(f"train {run.id}", list(facts.items()))
    if not number:
        screen.say(nothing(mask))
        return
    screen.table(
        f"{len(rows)} rows from {offset + 1}, the most often masked first",
        ("times", "cosine", "premise", "masked negative", "role", "its premise"),
        [
            (
                row.times,
                f"{row.cosine:.3f}",
                row.premise,
                row.hypothesis,
                row.role + (" *" if repeats(mask, row) else ""),
                row.other_premise,
            )
            for row in rows
        ],
        caption=f"* {REPEATS}" if any(repeats(mask, row) for row in rows) else None,
    )
    if len(rows) == limit:
        screen.say(f"more: --offset {offset + limit}")


def threshold(mask: Mask) -> str:
    """From which cosine on the mask removes a negative."""
    if mask.margin is not None:
        return "the own positive's cosine" + (f" {mask.margin:+g}" if mask.margin else "")
    asked = "" if mask.quantile is None else f" (the nearest {100 * mask.quantile:g} % of cross pairs)"
    return ("σ -" if mask.sigma is None else f"σ {mask.sigma:.4g}") + asked


def share(mask: Mask) -> str:
    """How much of all negatives the mask removed."""
    return f"{100 * mask.share:.2f} % of negatives"


def repeats(mask: Mask, row: ListedMasked) -> bool:
    """Whether a row was masked though its cosine is below σ."""
    return mask.sigma is not None and row.cosine < mask.sigma - ROUNDING


def nothing(mask: Mask) -> str:
    """What is said where the mask removed nothing."""
    return f"nothing was masked: by {mask.model} no negative reaches {threshold(mask)}; a lower threshold masks more"
