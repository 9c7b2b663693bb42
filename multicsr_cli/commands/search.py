"""`multicsr search`: checkpoint -> the nearest sentences of a file."""

from __future__ import annotations

from typing import Annotated

import typer

from multicsr.means.names import read_source
from multicsr_cli import options, screen
from multicsr_cli.options import DEFAULT_DB, Batch, Db, Device, Json
from store.problem import Problem


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A train run, an alias, a hub id or a folder.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for.")],
    file: Annotated[
        str, typer.Option("--in", metavar="bundled|FILE|-", help="Sentences: .txt, .csv, .tsv, .jsonl; - is stdin.")
    ] = "bundled",
    column: Annotated[str | None, typer.Option(metavar="NAME", help="Column of a CSV, TSV or JSONL file.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How many are shown.")] = 10,
    pooler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="mean, cls, cls_before_pooler, first_last_mean, embeddings_last_mean or prompt.",
            show_default="the model's own",
        ),
    ] = None,
    db: Db = DEFAULT_DB,
    device: Device = "auto",
    batch: Batch = "auto",
    json: Json = False,
) -> None:
    """Show the sentences of a file that are nearest to a text, by cosine. Vectors are kept beside the store."""
    if not text.strip():
        raise Problem("the text to look for is empty", "give a sentence or a few words")
    size = options.batch_size(batch)
    from multicsr.report import nearest
    from stages.files.sources import AskedBy
    from stages.pace.lookup import Search
    from store.database import Store

    source = read_source(file, column, AskedBy(file="file", called="file"))
    # Looking for something makes no store; where there is none, no vector is kept.
    store = Store.open(db, create=False) if db.exists() else Store.memory()
    search = Search(text.strip(), limit)
    ticks = nearest.fill(search, store, model, source, pooler=pooler, device=device, batch=size)
    screen.watch(ticks, "search", "sentences")
    if json:
        screen.document({"model": model, "text": search.text, "results": [hit._asdict() for hit in search.hits]})
        return
    screen.table(
        f"{source.shown} by {model}",
        ("cosine", "line", "sentence"),
        [(hit.cosine, hit.line, hit.text) for hit in search.hits],
    )
