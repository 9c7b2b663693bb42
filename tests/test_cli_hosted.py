"""gen, score and eval --scorer by an LLM behind a server: nothing is paid for twice, and no key is kept."""

from __future__ import annotations

import os
import shlex
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from asked import TOML
from chat import MODEL, Chat, Mishap, completion, echo, failure
from conftest import PREMISES
from rows import drafted, score_rows
from shell import Ended, assert_problem, multicsr, start

from store.database import Store

KEY = "sk-0123456789-secret"
COUNT = 40  # premises
IN_FLIGHT = 4
PATIENCE = 120  # seconds until a process that writes nothing is called broken
SETTLED = 25  # looks at the store, 20 ms apart, after which nothing more is coming


def says(prompt: str) -> dict[str, Any]:
    """A sentence for a premise, and a number for a question about two."""
    if " / " in prompt:
        return completion(f"{len(prompt) % 6}", usage={"prompt_tokens": 7, "completion_tokens": 1})
    return echo(prompt)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("MULTICSR_API_KEY", raising=False)
    opened = Chat(says, KEY)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "many.txt"
    path.write_text("".join(f"{PREMISES[n % 10][:-1]}, number {n}.\n" for n in range(COUNT)))
    return path


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prompt set that leaves sentences whole."""
    path = tmp_path_factory.mktemp("prompts") / "sentences.toml"
    path.write_text(TOML.replace('stop = ["e", "o"]', r'stop = ["\n"]'))
    return path


@pytest.fixture
def gen(chat: Chat, many: Path, sentences: Path) -> tuple[object, ...]:
    asked = ("--llm", f"openai:{MODEL}", "--base-url", chat.url, "--omega", 0, "--in-flight", IN_FLIGHT)
    return ("gen", "--premises", many, "--prompts", sentences, *asked)


def only_run(store: Store, stage: str) -> Any:
    ((id,),) = store.rows("SELECT id FROM runs WHERE stage = ?", [stage])
    return store.run(id)


def gen_rows(db: Path) -> list[Any]:
    store = Store.open(db, write=False)
    return drafted(store, only_run(store, "gen"))


def stored(db: Path) -> bytes:
    """All that is kept of a run: the store, its log and its folder."""
    paths = [db, db.with_name(f"{db.name}-wal"), *Path(f"{db}.files").rglob("*")]
    return b"".join(path.read_bytes() for path in paths if path.is_file())


def test_the_whole_road(chat: Chat, gen: tuple[object, ...], sentences: Path, many: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    prices = ("--price-in", 2, "--price-out", 8.0, "--db", db, "--json")
    said = multicsr(*gen, *prices).json
    assert (said["done"], said["hypotheses"]) == (COUNT, 2 * COUNT)
    assert (said["prompt_tokens"], said["completion_tokens"]) == (800, 400)
    assert said["cost"] == (800 * 2 + 400 * 8) / 1_000_000
    assert len(chat.asked) == 2 * COUNT
    assert chat.most <= IN_FLIGHT
    written = gen_rows(db)
    assert written[0][3] == "It is said that A dog runs along the beach, number 0."
    assert {row[-1] for row in written} == {5}  # tokens
    store = Store.open(db, write=False)
    config = only_run(store, "gen").config
    assert (config["llm"], config["base_url"], config["omega"]) == (f"openai:{MODEL}", f"{chat.url}/v1", 0)
    again = multicsr(*gen, "--db", db, "--json")
    assert (again.json["run"], len(chat.asked)) == (said["run"], 2 * COUNT)
    assert "cost" not in again.json
    assert "0.004800" in multicsr(*gen, *prices[:-1]).out

    scored = multicsr("score", "--prompts", sentences, *prices).json  # the LLM and the server of the gen run
    assert (scored["scored"], scored["unparsable"]) == (2 * COUNT, 0)
    assert (scored["prompt_tokens"], scored["completion_tokens"]) == (14 * COUNT, 2 * COUNT)
    assert len(chat.asked) == 4 * COUNT
    assert chat.asked[-1]["stop"] == ["\n"]
    assert multicsr("curate", "--alpha", 0, "--beta", 5, "--gamma", -5, "--db", db, "--json").json["kept"] == COUNT

    task = tmp_path / "pairs.tsv"
    task.write_text("".join(f"{one}\t{two}\t{n % 6}\n" for n, (one, two) in enumerate(pairwise(PREMISES))))
    judge = ("eval", "--scorer", f"openai:{MODEL}", "--base-url", chat.url, "--prompts", sentences, "--task", task)
    judged = multicsr(*judge, *prices).json
    assert judged["cost"] == (7 * 9 * 2 + 9 * 8) / 1_000_000
    assert len(chat.asked) == 4 * COUNT + 9

    before = len(chat.asked)
    for row in multicsr("runs", "--db", db, "--json").json["runs"]:
        assert KEY not in row["command"]
        ended = multicsr(*shlex.split(row["command"])[1:], "--db", db, "--json")
        assert ended.json["run"] == row["run"]
        assert "complete already" in ended.err or row["stage"] == "curate"
    assert len(chat.asked) == before
    assert KEY.encode() not in stored(db)


def test_drafts_and_scores_depend_neither_on_the_pace_nor_on_trouble(
    chat: Chat, gen: tuple[object, ...], sentences: Path, tmp_path: Path
) -> None:
    found = []
    trouble = [failure(429, Retry_After="0"), failure(503, Retry_After="0")] * 4
    for name, more in (("one", ("--in-flight", 1)), ("many", ("--in-flight", 16)), ("batch", ("--batch", 3))):
        chat.mishaps = trouble * (name == "many")
        db = tmp_path / f"{name}.db"
        assert multicsr(*gen, *more, "--db", db).code == 0
        assert multicsr("score", "--prompts", sentences, *more, "--db", db).code == 0
        store = Store.open(db, write=False)
        found.append((gen_rows(db), score_rows(store, only_run(store, "score"))))
    assert found[0] == found[1] == found[2]
    counts = only_run(Store.open(tmp_path / "many.db", write=False), "gen").counts
    assert counts["retried"] == len(trouble)


def rows(db: Path, table: str) -> int:
    """How many rows another process has stored so far."""
    if not db.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            return int(count)
    except sqlite3.OperationalError:  # not made yet
        return 0


def stop(chat: Chat, answers: int, with_signal: signal.Signals, table: str, *command: object) -> tuple[int, str]:
    """Start a command, and signal it when the server has given so many answers, holds back the others, and what was answered
    is stored."""
    go, before, begun = threading.Event(), chat.says, len(chat.asked)
    turn = count(1)

    def holding(prompt: str) -> dict[str, Any]:
        if next(turn) > answers:
            go.wait(PATIENCE)
        return before(prompt)

    chat.says = holding
    going = start(*command)
    db, seen, same = Path(str(command[-1])), -1, 0
    until = time.monotonic() + PATIENCE
    while same < SETTLED and going.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
        now = rows(db, table)
        same = same + 1 if now == seen and len(chat.asked) - begun > answers else 0
        seen = now
    going.send_signal(with_signal)
    _, err = going.communicate()
    chat.says = before
    go.set()
    return going.returncode, err


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_resumed_it_pays_only_for_what_is_missing(
    chat: Chat, gen: tuple[object, ...], tmp_path: Path, with_signal: signal.Signals
) -> None:
    db, whole = tmp_path / "s.db", tmp_path / "whole.db"
    code, err = stop(chat, 30, with_signal, "drafts", *gen, "--db", db)
    assert code == (130 if with_signal == signal.SIGINT else -signal.SIGKILL)
    if with_signal == signal.SIGINT:
        assert "the same command goes on" in err.splitlines()[-1]
    for sign in ("Traceback", "Task", "never", KEY):
        assert sign not in err
    there = len(gen_rows(db))
    assert 30 - IN_FLIGHT <= there <= 30
    asked = len(chat.asked)
    assert asked <= 30 + IN_FLIGHT
    spent = only_run(Store.open(db, write=False), "gen").counts
    assert there <= spent["requests"] <= 30
    said = multicsr(*gen, "--db", db, "--json").json
    assert len(chat.asked) - asked == 2 * COUNT - there
    assert said["prompt_tokens"] == 10 * (spent["requests"] + 2 * COUNT - there)
    assert multicsr(*gen, "--db", whole).code == 0
    assert gen_rows(db) == gen_rows(whole)


def test_a_killed_scoring_pays_only_for_what_is_missing(
    chat: Chat, gen: tuple[object, ...], sentences: Path, tmp_path: Path
) -> None:
    db, whole = tmp_path / "s.db", tmp_path / "whole.db"
    for path in (db, whole):
        assert multicsr(*gen, "--db", path).code == 0
    score = ("score", "--prompts", sentences, "--in-flight", IN_FLIGHT)
    code, _ = stop(chat, 30, signal.SIGKILL, "scores", *score, "--db", db)
    assert code == -signal.SIGKILL
    there, asked = rows(db, "scores"), len(chat.asked)
    assert 30 - 2 * IN_FLIGHT <= there <= 30
    assert multicsr(*score, "--db", db).code == 0
    assert len(chat.asked) - asked == 2 * COUNT - there
    assert multicsr(*score, "--db", whole).code == 0
    one, other = Store.open(db, write=False), Store.open(whole, write=False)
    assert score_rows(one, only_run(one, "score")) == score_rows(other, only_run(other, "score"))


@pytest.mark.parametrize(
    ("mishap", "says"),
    [(failure(400, f"no, {KEY}"), "the server answers 400: no, ***"), (failure(401), "refuses the key")],
)
def test_a_failure_for_good_stops_the_run_with_what_was_answered_stored(
    chat: Chat, gen: tuple[object, ...], tmp_path: Path, mishap: Mishap, says: str
) -> None:
    db = tmp_path / "s.db"
    chat.mishaps, chat.about = [mishap], "number 17"
    ended = multicsr(*gen, "--db", db)
    assert_problem(ended)
    assert says in ended.err
    assert KEY not in ended.err
    answered, asked = sum(chat.answered.values()), len(chat.asked)
    there = len(gen_rows(db))
    assert answered - IN_FLIGHT <= there <= answered < 2 * COUNT
    assert multicsr(*gen, "--db", db).code == 0
    assert len(chat.asked) - asked == 2 * COUNT - there
    assert len(gen_rows(db)) == 2 * COUNT


def test_what_cannot_be_used_is_kept_with_its_reason(chat: Chat, gen: tuple[object, ...], tmp_path: Path) -> None:
    replies = {
        "number 1.": completion("I'm sorry, but I can't help with that."),
        "number 2.": completion(None, refusal="Not this one."),
        "number 3.": completion(""),
        "number 4.": completion("A long way without", "length"),
        "number 5.": completion("Half a", "content_filter"),
        "number 6.": completion("One sentence. And half a second", "length"),
        "number 7.": completion('"In quotes."', "stop"),
    }
    chat.says = lambda prompt: next((reply for sign, reply in replies.items() if sign in prompt), echo(prompt))
    db = tmp_path / "s.db"
    assert multicsr(*gen, "--db", db).code == 0
    entailments = [row[3:6] for row in gen_rows(db) if row[2] == "entailment"]
    assert [entailments[place] for place in range(1, 8)] == [
        ("I'm sorry, but I can't help with that.", "I'm sorry, but I can't help with that.", "refusal"),
        ("Not this one.", "Not this one.", "refusal"),
        ("", "", "empty"),
        ("A long way without", "A long way without", "runaway"),
        ("Half a", "Half a", "filtered"),
        ("One sentence.", "One sentence. And half a second", None),
        ("In quotes.", '"In quotes."', None),
    ]
    counts = only_run(Store.open(db), "gen").counts
    assert (counts["refusal"], counts["empty"], counts["runaway"], counts["filtered"]) == (4, 2, 2, 2)


def test_a_filtered_score_keeps_its_reason(
    chat: Chat, gen: tuple[object, ...], sentences: Path, tmp_path: Path
) -> None:
    db = tmp_path / "s.db"
    assert multicsr(*gen, "--limit", 2, "--db", db).code == 0
    chat.says = lambda prompt: completion("3", "content_filter")
    said = multicsr("score", "--prompts", sentences, "--db", db, "--json").json
    assert (said["scored"], said["unparsable"]) == (0, 4)
    assert Store.open(db).rows("SELECT DISTINCT reply FROM scores") == [('{"problem":"filtered","reply":"3"}',)]


def test_an_llm_here_scores_what_one_behind_a_server_wrote(
    chat: Chat, gen: tuple[object, ...], tiny_llm: Path, sentences: Path, tmp_path: Path
) -> None:
    where = ("--db", tmp_path / "s.db", "--json")
    assert multicsr(*gen, "--limit", 2, *where).code == 0
    asked = ("score", "--by", "likelihood", "--llm", tiny_llm, "--prompts", sentences, "--dtype", "float32")
    assert multicsr(*asked, *where).json["scored"] == 4


HOSTED = ("--llm", "openai:m", "--base-url", "http://localhost:1")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((*HOSTED,), "--omega 0.3 needs next-token logits"),
        ((*HOSTED, "--omega", 0, "--omega-contradiction", 0.1), "--omega-contradiction 0.1 needs"),
        ((*HOSTED, "--omega", 0, "--nu", 0.2), "--nu 0.2 needs"),
        (("--llm", "openai:m", "--omega", 0), "needs --base-url"),
        (("--llm", "openai:", "--base-url", "http://localhost", "--omega", 0), "names no model"),
        (("--llm", "openai:m", "--base-url", "http://a:secret@b", "--omega", 0), "user name or password"),
        (("--llm", "openai:m", "--base-url", "http://b/?key=secret", "--omega", 0), "query or fragment"),
        ((*HOSTED, "--omega", 0, "--device", "cpu"), "--device cpu goes with an LLM on this machine"),
        ((*HOSTED, "--omega", 0, "--dtype", "float32"), "--dtype float32 goes with"),
        ((*HOSTED, "--omega", 0, "--in-flight", 0), "--in-flight 0 is out of range"),
        ((*HOSTED, "--omega", 0, "--in-flight", 100000), "--in-flight 100000 is out of range"),
        ((*HOSTED, "--omega", 0, "--timeout", 0), "--timeout 0 is out of range"),
        ((*HOSTED, "--omega", 0, "--timeout", "inf"), "--timeout inf is out of range"),
        ((*HOSTED, "--omega", 0, "--price-in", 1), "--price-in alone"),
        ((*HOSTED, "--omega", 0, "--price-out", -1, "--price-in", 1), "--price-out -1 is out of range"),
        (("--base-url", "http://localhost"), "--base-url goes with a hosted LLM"),
        (("--in-flight", 3), "--in-flight goes with a hosted LLM"),
    ],
)
def test_gen_refuses(wrong: Callable[..., Ended], args: tuple[object, ...], says: str) -> None:
    assert "secret" not in wrong("gen", *args, says=says).err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((*HOSTED, "--by", "likelihood"), "--by likelihood needs next-token logits"),
        ((*HOSTED, "--expected"), "--expected needs next-token logits"),
        (("--llm", "openai:m"), "needs --base-url"),
        (("--base-url", "http://localhost"), "--base-url goes with a hosted LLM"),
    ],
)
def test_score_refuses(refuse: Callable[..., Ended], args: tuple[object, ...], says: str) -> None:
    refuse("score", *args, says=says)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--scorer", *HOSTED[1:], "--by", "likelihood"), "--by likelihood needs next-token logits"),
        (("--scorer", *HOSTED[1:], "--expected"), "--expected needs next-token logits"),
        (("--scorer", "openai:m"), "needs --base-url"),
        (("minilm", "--base-url", "http://localhost"), "--base-url goes with --scorer"),
        (("minilm", "--price-in", 1, "--price-out", 1), "--price-in goes with --scorer"),
        (("openai:m",), "is an LLM behind a server"),
    ],
)
def test_eval_refuses(wrong: Callable[..., Ended], args: tuple[object, ...], says: str) -> None:
    wrong("eval", *args, says=says)


def test_the_key_must_be_one(chat: Chat, gen: tuple[object, ...], tmp_path: Path) -> None:
    os.environ["OPENAI_API_KEY"] = "sk secret"  # given back by the fixture
    ended = multicsr(*gen, "--db", tmp_path / "s.db")
    assert_problem(ended)
    assert "secret" not in ended.err
    assert not (tmp_path / "s.db").exists()


def test_models_names_the_way() -> None:
    assert "openai:MODEL" in multicsr("models").out
