"""Looking for sentences: the same as comparing with every one of them, however the file is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import PREMISES, Piped
from shell import multicsr, refused

from stages.pace.batches import Batches
from stages.pace.lookup import Hit, Search
from stages.pace.vectors import WINDOW, Vectors
from stages.tasks.metrics import cosine
from store.database import Store


class Drawn:
    """An encoder with few different vectors, so that many sentences tie."""

    def capacity(self, texts: list[str]) -> int:
        return len(texts)

    def encode(self, texts: list[str], batch: int) -> np.ndarray:
        return np.array([[len(text) % 5 - 1.5, len(text) % 3, 1.0] for text in texts], dtype=np.float32)


def test_it_finds_what_a_comparison_with_every_sentence_finds(store: Store) -> None:
    sentences = [(line, "x" * (line % 37) + "?") for line in range(1, 2 * WINDOW + 100)]
    search = Search("look for this", 2 * WINDOW)
    ticks = list(search.run(Vectors(store, "m", Drawn, Batches(None, "texts", "cpu")), sentences, len(sentences)))
    assert [tick.done for tick in ticks] == [0, 0, WINDOW, 2 * WINDOW, 2 * WINDOW + 99]
    encoded = Drawn().encode([text for _, text in sentences], 1)
    query = np.repeat(Drawn().encode([search.text], 1), len(sentences), axis=0)
    every = [(*sentence, value) for sentence, value in zip(sentences, cosine(query, encoded), strict=True)]
    expected = sorted((Hit(*row) for row in every), key=lambda hit: (-round(hit.cosine, 5), hit.line))[: search.limit]
    assert [hit[:2] for hit in search.hits] == [hit[:2] for hit in expected]
    np.testing.assert_allclose([hit.cosine for hit in search.hits], [hit.cosine for hit in expected], atol=1e-6)


def test_a_sentence_of_the_file_finds_itself_and_vectors_are_kept(copied: Piped, premises_file: Path) -> None:
    asked = ("search", copied.run("train"), PREMISES[4], "--in", premises_file, "--limit", 3, "--db", copied.db)
    first = multicsr(*asked, "--json").json
    assert set(first) == {"model", "text", "results"}
    assert len(first["results"]) == 3
    assert (first["results"][0]["line"], first["results"][0]["text"]) == (5, PREMISES[4])
    assert abs(first["results"][0]["cosine"] - 1) < 1e-5
    assert multicsr(*asked, "--json").json == first
    assert PREMISES[4] in multicsr(*asked).out
    kept = Path(f"{copied.db}.files") / "vectors.db"
    assert kept.exists()


def test_looking_makes_no_store(tmp_path: Path, premises_file: Path, tiny_encoder: Path) -> None:
    db = tmp_path / "none.db"
    asked = ("search", tiny_encoder, "bread", "--pooler", "mean", "--in", premises_file, "--db", db)
    assert len(multicsr(*asked, "--json").json["results"]) == len(PREMISES)
    assert list(tmp_path.iterdir()) == []


def test_wrong_searches_are_refused(copied: Piped, premises_file: Path) -> None:
    for wrong, says in (
        (("minilm", " ", "--in", premises_file), "the text to look for is empty"),
        (("minilm", "bread", "--in", "no-such.txt"), "there is no file no-such.txt"),
        (("no-such-model", "bread", "--in", premises_file), "no-such-model"),
    ):
        assert says in refused(copied.db, "search", *wrong).err
