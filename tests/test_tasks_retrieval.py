"""Retrieval: every figure is that of trec_eval, in BEIR's layout, and the corpus passes by in windows."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stages.tasks import beir, retrieval
from store.problem import Problem

Rows = list[tuple[str, str, str]]  # (id, title, text)
Judged = dict[str, dict[str, int]]


def encode(texts: Sequence[str]) -> np.ndarray:
    """Sixteen signs drawn from a text: every cosine is exact, so that ties are ties in any arithmetic."""
    digests = [hashlib.blake2b(text.encode(), digest_size=2).digest() for text in texts]
    return np.array([[1.0 if byte >> bit & 1 else -1.0 for byte in digest for bit in range(8)] for digest in digests])


def write(folder: Path, corpus: Rows, queries: dict[str, str], judged: Judged, split: str = "test") -> Path:
    """One BEIR folder."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    documents = [{"_id": identity, "title": title, "text": text, "metadata": {}} for identity, title, text in corpus]
    questions = [{"_id": identity, "text": text} for identity, text in queries.items()]
    for name, rows in [("corpus", documents), ("queries", questions)]:
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    lines = [f"{query}\t{document}\t{score}\n" for query, found in judged.items() for document, score in found.items()]
    (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines), encoding="utf-8")
    return folder


def trec_eval(corpus: Rows, queries: dict[str, str], judged: Judged) -> dict[str, list[float]]:
    """trec_eval's figures of each query over the 1000 best documents, all cosines computed at once."""
    vectors = encode([f"{title} {text}".strip() for _, title, text in corpus])
    run: dict[str, dict[str, float]] = {}
    for query in judged:
        cosines = vectors @ encode([queries[query]])[0] / 16
        scored = [(float(score), row[0]) for score, row in zip(cosines, corpus, strict=True) if row[0] != query]
        run[query] = {identity: score for score, identity in sorted(scored, reverse=True)[:1000]}
    figures = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10", "recall.100", "map"}).evaluate(run)
    return {name: [figures[query][name] for query in judged] for name in ("ndcg_cut_10", "recall_100", "map")}


def check(task: retrieval.RetrievalTask, wanted: dict[str, list[float]]) -> None:
    """Mean and standard error of each metric, and the figures of each query."""
    (found,) = task.per_query(encode)
    assert found.T.tolist() == [pytest.approx(values, abs=1e-9) for values in wanted.values()]
    assert task.items(encode).tolist() == found[:, 0].tolist()
    figures = task.evaluate(encode)
    assert [(figure.subset, figure.name) for figure in figures] == [("", "ndcg@10"), ("", "recall@100"), ("", "map")]
    for figure, values in zip(figures, wanted.values(), strict=True):
        assert figure.n == len(values)
        assert figure.value == pytest.approx(100 * statistics.fmean(values), abs=1e-7)
        if len(values) == 1:
            assert figure.error is None
        else:
            assert figure.error == pytest.approx(100 * statistics.stdev(values) / len(values) ** 0.5, abs=1e-7)


def drawn(documents: int, queries: int, words: int, seed: int) -> tuple[Rows, dict[str, str], Judged]:
    """A corpus with few different texts, hence many ties; some judged documents are not in it, and some queries have
    the id of a document."""
    generator = np.random.default_rng(seed)
    ids = [f"{'é' if number % 3 == 0 else 'd'}{number}" for number in generator.permutation(documents)]
    corpus = [(identity, f"t{generator.integers(2)}", f"w{generator.integers(words)}") for identity in ids]
    asked = [ids[number] if number % 2 and number < documents else f"q{number}" for number in range(queries)]
    judged = {
        query: {
            str(document): int(generator.choice([-1, 0, 1, 2, 3]))
            for document in generator.choice([*ids, "gone", "lost"], min(9, documents), replace=False)
        }
        for query in asked
    }
    return corpus, {query: f"w{generator.integers(words)}" for query in [*asked, "unjudged"]}, judged


@settings(max_examples=60)
@given(st.integers(2, 30), st.integers(1, 7), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_figures_are_those_of_trec_eval(
    tmp_path_factory: pytest.TempPathFactory, documents: int, queries: int, words: int, seed: int
) -> None:
    """Graded and negative relevance, ties, queries without relevant documents, documents that are not in the corpus,
    queries that have a document's id."""
    corpus, asked, judged = drawn(documents, queries, words, seed)
    folder = write(tmp_path_factory.mktemp("set") / "toy", corpus, asked, judged)
    assume({document for found in judged.values() for document in found} & {row[0] for row in corpus})
    check(retrieval.load("toy", folder), trec_eval(corpus, asked, judged))


def test_figures_beyond_a_window_and_beyond_a_thousand_results_are_those_of_trec_eval(tmp_path: Path) -> None:
    """A corpus of more than one window; relevant documents behind rank 1000, and a query's own among the first."""
    corpus, queries, judged = drawn(retrieval.WINDOW + 700, 40, 500, 1)
    generator = np.random.default_rng(2)
    for found in judged.values():
        found |= {corpus[row][0]: int(grade) for grade in (1, 2) for row in generator.choice(len(corpus), 30)}
    wanted = trec_eval(corpus, queries, judged)
    check(retrieval.load("toy", write(tmp_path / "toy", corpus, queries, judged)), wanted)
    assert 0 < statistics.fmean(wanted["recall_100"]) < 0.9


def test_a_querys_own_document_takes_no_place_among_the_thousand(tmp_path: Path) -> None:
    """All tie; behind the query's own, the largest id, the thousandth counts and the one after it does not."""
    corpus = [(f"{number:04}", "", "same") for number in range(1002)]
    for relevant, value in [("0001", 0.1), ("0000", 0.0)]:
        folder = write(tmp_path / relevant, corpus, {"1001": "same"}, {"1001": {relevant: 1}})
        figure = retrieval.load(relevant, folder).evaluate(encode)[2]
        assert (figure.name, figure.value) == ("map", pytest.approx(value))


def test_no_more_than_a_window_is_encoded_at_once(tmp_path: Path) -> None:
    """And every document once, after the judged queries."""
    calls: list[list[str]] = []

    def recording(texts: Sequence[str]) -> np.ndarray:
        calls.append(list(texts))
        return encode(texts)

    corpus, queries, judged = drawn(2 * retrieval.WINDOW + 5, 3, 9000, 4)
    task = retrieval.load("toy", write(tmp_path / "toy", corpus, queries, judged))
    task.evaluate(recording)
    assert [len(texts) for texts in calls] == [3, retrieval.WINDOW, retrieval.WINDOW, 5]
    assert [text for texts in calls for text in texts] == list(task.texts)
    assert calls[0] == [queries[query] for query in judged]


def test_a_documents_text_is_its_title_and_its_text(tmp_path: Path) -> None:
    """Outer blanks go, as in BEIR; a document may have no title, and no text."""
    folder = write(tmp_path / "toy", [], {"q": " ask "}, {"q": {"a": 1}})
    rows = [
        {"_id": "a", "title": "Head", "text": "Body  two"},
        {"_id": "b", "title": "", "text": " Body "},
        {"_id": "c", "text": "Body"},
        {"_id": "d", "title": None, "text": "Fluß\u2028and \x0c on"},
        {"_id": "e", "title": "", "text": ""},
    ]
    corpus = folder / "corpus.jsonl"
    for ascii_only in (True, False):
        corpus.write_text("".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows), encoding="utf-8")
        task = retrieval.load("toy", folder)
        assert list(task.texts) == [" ask ", "Head Body  two", "Body", "Body", "Fluß\u2028and \x0c on", ""]
        assert task.evaluate(encode)[0].n == 1


def test_windows_line_ends_and_byte_order_marks_change_nothing(tmp_path: Path) -> None:
    """Nor does a last line without its end: the same figures, the same digest."""
    content = drawn(20, 4, 9, 7)
    plain = retrieval.load("toy", write(tmp_path / "toy", *content))
    folder = write(tmp_path / "windows" / "toy", *content)
    for path in [*folder.glob("*.jsonl"), *folder.glob("qrels/*")]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n").removesuffix(b"\r\n"))
    found = retrieval.load("toy", folder)
    assert found.digest == plain.digest
    assert found.evaluate(encode) == plain.evaluate(encode)


def test_the_digest_names_everything_that_is_judged(tmp_path: Path) -> None:
    """One letter of a document, a query or a judgement is another task; what lies elsewhere is not."""
    corpus, queries, judged = [("a", "t", "x"), ("b", "", "y")], {"p": "x", "q": "y"}, {"p": {"a": 1}, "q": {"b": 2}}
    digests = [
        retrieval.load("toy", write(tmp_path / str(number) / "toy", *content)).digest
        for number, content in enumerate(
            [
                (corpus, queries, judged),
                ([("a", "t", "z"), ("b", "", "y")], queries, judged),
                ([("a", "t", "x"), ("c", "", "y")], queries, judged),
                (corpus, {"p": "x", "q": "z"}, judged),
                (corpus, queries, {"p": {"a": 1}, "q": {"b": 1}}),
                (corpus, queries | {"unjudged": "w"}, judged),
            ]
        )
    ]
    assert len(set(digests)) == 5
    assert digests[5] == digests[0]


def test_dev_judgements_are_another_file(tmp_path: Path) -> None:
    corpus, queries = [("a", "", "x"), ("b", "", "y")], {"p": "x", "q": "y"}
    folder = write(tmp_path / "toy", corpus, queries, {"p": {"a": 1}})
    write(folder, corpus, queries, {"q": {"b": 1}, "p": {"b": 0}}, "dev")
    assert [retrieval.load("toy", folder, split).evaluate(encode)[0].n for split in ("test", "dev")] == [1, 2]


def test_documents_that_no_model_can_find_are_counted(tmp_path: Path) -> None:
    """Relevant, and not in the corpus."""
    judged = {"p": {"a": 1, "gone": 1, "lost": 0}, "q": {"gone": 2}}
    folder = write(tmp_path / "toy", [("a", "", "x")], {"p": "x", "q": "y"}, judged)
    assert (
        retrieval.load("toy", folder).note
        == "toy: the corpus lacks 2 of the relevant documents; they count as not found"
    )
    whole = write(tmp_path / "whole", [("a", "", "x")], {"p": "x"}, {"p": {"a": 1, "gone": 0}})
    assert retrieval.load("whole", whole).note == ""


def test_cqadupstack_is_the_mean_over_its_forums(tmp_path: Path) -> None:
    """Each forum counts the same, however many queries it has; and has its own figures."""
    forums = {forum: drawn(12 + place, 2 + place, 6, place) for place, forum in enumerate(beir.FORUMS)}
    for forum, content in forums.items():
        write(tmp_path / "cqadupstack" / forum, *content)
    assert retrieval.names_in(tmp_path) == retrieval.names_in(tmp_path / "cqadupstack") == ("cqadupstack",)
    task = retrieval.load("cqadupstack", tmp_path)
    figures = task.evaluate(encode)
    each = [trec_eval(*content) for content in forums.values()]
    assert [figure.subset for figure in figures] == [""] * 3 + [forum for forum in forums for _ in range(3)]
    for place, name in enumerate(["ndcg_cut_10", "recall_100", "map"]):
        means = [100 * statistics.fmean(forum[name]) for forum in each]
        errors = [100 * statistics.stdev(forum[name]) / len(forum[name]) ** 0.5 for forum in each]
        head, *parts = figures[place::3]
        assert [part.value for part in parts] == pytest.approx(means)
        assert [part.error for part in parts] == pytest.approx(errors)
        assert [part.n for part in parts] == [2 + place for place in range(12)]
        assert head.value == pytest.approx(statistics.fmean(means))
        assert head.error == pytest.approx(sum(error**2 for error in errors) ** 0.5 / 12)
        assert head.n == sum(range(2, 14))
    assert len(task.items(encode)) == figures[0].n
    assert 100 * task.items(encode).mean() == pytest.approx(figures[0].value)
    outcome = task.outcome(encode)
    assert (outcome.metric, outcome.n) == (figures[0].name, figures[0].n)
    assert outcome.resampled(np.ones((outcome.n, 1), dtype=int))[0] == pytest.approx(figures[0].value)
    (tmp_path / "cqadupstack" / "unix").rename(tmp_path / "cqadupstack" / "linux")
    with pytest.raises(Problem, match="lacks the forums unix"):
        retrieval.load("cqadupstack", tmp_path)


def test_what_lies_in_a_folder_is_found_by_its_name(tmp_path: Path) -> None:
    """Directly, under `beir`, or the folder itself; in lower case; other folders are none."""
    content = drawn(5, 2, 3, 0)
    (tmp_path / "STS").mkdir()
    for place in ("SciFact", "beir/nfcorpus", "beir/deeper/arguana"):
        write(tmp_path / place, *content)
    assert retrieval.names_in(tmp_path) == ("nfcorpus", "scifact")
    assert retrieval.names_in(tmp_path / "SciFact") == ("scifact",)
    assert retrieval.load("scifact", tmp_path).digest == retrieval.load("nfcorpus", tmp_path).digest
    with pytest.raises(Problem, match="there is no BEIR folder arguana"):
        retrieval.load("arguana", tmp_path)
    write(tmp_path / "beir" / "scifact", *content)
    with pytest.raises(Problem, match="both called scifact"):
        retrieval.names_in(tmp_path)
    assert retrieval.names_in(tmp_path / "STS") == ()
    with pytest.raises(Problem, match="nowhere does not exist"):
        retrieval.names_in(tmp_path / "nowhere")
    with pytest.raises(Problem, match="needs data"):
        retrieval.load("scifact", None)
