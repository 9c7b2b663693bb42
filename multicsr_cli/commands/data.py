"""`multicsr data`: public evaluation and training sets, fetched from the hub and checked."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from multicsr_cli import screen
from multicsr_cli.options import DEFAULT_DB, Db, Json
from store.problem import Problem

HERE = Path("data")
HUB = "https://huggingface.co"

Folder = Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder that sets were fetched into.")]
Sets = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="More sets: a TOML file in the form of data.toml.", show_default=False),
]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Get public evaluation and training sets: list, fetch, verify.",
)


@app.command("list")
def list_(data: Folder = HERE, sets: Sets = None, db: Db = DEFAULT_DB, json: Json = False) -> None:
    """List the sets that can be fetched, their terms, and what lies complete under DIR. Touches no network."""
    from stages.public import sets as datasets

    rows = [_row(dataset, data) for dataset in datasets.known(sets).values()]
    if json:
        screen.document({"data": str(data), "sets": rows})
        return
    screen.table(
        f"sets, and what lies under {data}",
        ("name", "there", "sums", "MB", "what it is"),
        [(row["name"], row["state"], row["sums"], _megabytes(row["bytes"]), row["about"]) for row in rows],
        caption="pinned: sums known beforehand; recorded: those of the first fetch, in multicsr-data.json.",
    )
    screen.table(
        "where from",
        ("name", "layout", "place", "dataset on the hub", "terms"),
        [(row["name"], row["layout"], row["place"], _short(row["source"]), row["terms"]) for row in rows],
    )


@app.command("fetch")
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Sets, as `multicsr data list` names them.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where to; `multicsr eval --data DIR` reads it.")] = HERE,
    endpoint: Annotated[str, typer.Option(metavar="URL", envvar="HF_ENDPOINT", help="The hub, or a mirror.")] = HUB,
    retries: Annotated[int, typer.Option(min=0, metavar="N", help="Tries without a new byte before giving up.")] = 5,
    sets: Sets = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Fetch sets from the hub into DIR. Stopped anywhere, the same command goes on; what is complete is only checked."""
    from stages.public import fetch as stage
    from stages.public import sets as datasets

    if not endpoint.startswith(("https://", "http://")):
        raise Problem(f"the hub's address {endpoint!r} is no URL", f"give --endpoint {HUB}, or unset HF_ENDPOINT")
    wanted, seconds = datasets.chosen(names, datasets.known(sets)), 0.0
    for dataset in wanted:
        screen.say(f"{dataset.name}: {dataset.about}. Terms: {dataset.terms}.")
        seconds += screen.watch(stage.fetch(dataset, to, endpoint, retries), dataset.name, "kB")
    rows = [_row(dataset, to) for dataset in wanted]
    if json:
        screen.document({"data": str(to), "sets": rows, "seconds": seconds})
        return
    screen.table(
        f"under {to}",
        ("name", "there", "sums", "MB", "place"),
        [(row["name"], row["state"], row["sums"], _megabytes(row["bytes"]), row["place"]) for row in rows],
    )


@app.command("verify")
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Sets.", show_default="all that were fetched"),
    ] = None,
    data: Folder = HERE,
    sets: Sets = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Hold every file of the sets under DIR to its sum, pinned or recorded. Exit 1 where one differs. No network."""
    from stages.public import sets as datasets

    known = datasets.known(sets)
    asked = datasets.chosen(names or [name for name in datasets.record(data) if name in known], known)
    held = {dataset.name: datasets.expected(dataset, data) for dataset in asked}
    for name, sums in held.items():
        if not sums or datasets.state(known[name], data)[0] == "no":
            raise Problem(
                f"nothing is known of the sums of {name} under {data}",
                f"fetch it: multicsr data fetch {name} --to {data}",
            )
    if not asked:
        raise Problem(f"nothing was fetched into {data}", "give the folder that `multicsr data fetch --to` was given")
    wrong = [(dataset.name, path, what) for dataset in asked for path, what in datasets.faults(dataset, data)]
    if wrong:
        name, path, what = wrong[0]
        more = f" ({len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise Problem(f"{name}: {data / path} {what}{more}", f"multicsr data fetch {name} --to {data} gets it anew")
    rows: list[dict[str, Any]] = [{"name": name, "files": len(sums)} for name, sums in held.items()]
    if json:
        screen.document({"data": str(data), "sets": rows})
        return
    screen.table(f"as they should be under {data}", ("name", "files"), [(row["name"], row["files"]) for row in rows])


def _row(dataset: Any, folder: Path) -> dict[str, Any]:
    """A set as `--json` shows it; `bytes` is None where no size is known yet."""
    from stages.public import sets as datasets

    there, sums = datasets.state(dataset, folder)
    fetched = datasets.record(folder).get(dataset.name)
    sizes = [wanted.bytes for wanted in dataset.files]
    size = fetched.bytes if fetched else sum(sizes) if all(sizes) else None
    first, repos = dataset.files[0], len({wanted.repo for wanted in dataset.files})
    return {
        "name": dataset.name,
        "about": dataset.about,
        "layout": dataset.layout,
        "terms": dataset.terms,
        "source": f"{first.repo}{f' and {repos - 1} more' if repos > 1 else ''}@{first.revision}",
        "place": dataset.unpack or os.path.commonpath([Path(wanted.to).parent for wanted in dataset.files]),
        "bytes": size,
        "state": there,
        "sums": "pinned" if dataset.pinned else sums,
    }


def _megabytes(size: int | None) -> float | None:
    return None if size is None else size / 1e6


def _short(source: str) -> str:
    """A source with its commit cut to twelve digits."""
    return re.sub(r"(@[0-9a-f]{12})[0-9a-f]{28}$", r"\1", source)
