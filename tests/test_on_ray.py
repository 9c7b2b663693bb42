"""gen and score on a real Ray cluster: the rows of one process, whoever dies on the way, and nothing left behind."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time

# Read when Ray is imported: the clusters of these tests have a secret of their own, and write none into the home folder.
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from asked import SET
from conftest import PREMISES
from rows import GEN, SCORE, add_premises, content, drafted, score_rows
from shell import Ended, assert_problem, multicsr, refused, start

from stages import gen, score
from stages.models.llm.model import LanguageModel
from stages.pace.assignments import AHEAD
from stages.pace.batches import Batches
from stages.pace.ray_workers import DEATHS, RayWorkers
from stages.pace.workers import InProcess
from stages.stage import Tick
from store.database import Store
from store.problem import Problem

COUNT = 60  # premises
PATIENCE = 240  # seconds until what does not come is called broken
HEAD = """
import logging, sys, ray
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
         object_store_memory=80 * 2**20, _temp_dir=sys.argv[1])
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster of two processors, which goes with its process."""
    folder = Path("/tmp") / f"ray-{os.getpid()}"  # paths of sockets must be short
    head = subprocess.Popen(
        [sys.executable, "-c", HEAD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert head.stdout is not None
    yield head.stdout.readline().strip()
    head.communicate("")
    shutil.rmtree(folder, ignore_errors=True)


def numbers(items: Sequence[int], _model: Any, _pace: Batches) -> Iterator[list[tuple[int, int]]]:
    return ([(place, 10 * item)] for place, item in reversed(list(enumerate(items))))


def by_value(function: Callable[..., Any]) -> Callable[..., Any]:
    """Workers cannot import the tests; what is no module's own travels whole."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return function


def worked(engine: RayWorkers, middle: Callable[..., Any], windows: Sequence[Sequence[int]]) -> list[int]:
    """What comes back of all windows, and never more on its way than the workers may hold."""
    back: list[int] = []
    for window in windows:
        for done in engine.flow(window, by_value(middle)):
            assert len(engine.assignments.under_way) <= AHEAD * engine.assignments.workers
            back += done
    for done in engine.rest():
        back += done
    return back


def nothing() -> None:
    return None


def begun(engine: RayWorkers, left: int) -> RayWorkers:
    engine.start(by_value(nothing), Batches(None, "premises", "cpu"), left)
    return engine


def test_every_item_comes_back_once_and_a_window_may_end_before_its_items(cluster: str) -> None:
    windows = [range(100), range(100, 130), range(130, 131)]
    with RayWorkers(2, cluster, "cpu") as engine:
        assert sorted(worked(begun(engine, 131), numbers, windows)) == [10 * item for item in range(131)]
        assert "of 2 workers" in engine.pace()
        assert engine.take_warning() == ""


def test_a_worker_that_dies_is_replaced_and_its_part_is_done_again(cluster: str, tmp_path: Path) -> None:
    died = tmp_path / "died"

    def mortal(items: Sequence[int], _model: Any, _pace: Batches) -> Iterator[list[tuple[int, int]]]:
        for place, item in enumerate(items):
            if item == 13 and not died.exists():
                died.touch()
                time.sleep(0.5)  # for what was sent before to arrive
                os.kill(os.getpid(), signal.SIGKILL)
            yield [(place, item)]

    with RayWorkers(2, cluster, "cpu") as engine:
        assert sorted(worked(begun(engine, 60), mortal, [range(60)])) == list(range(60))
        told = engine.take_warning()
    assert died.exists()
    assert told.count("died and is replaced") == 1


def test_work_that_kills_every_worker_is_given_up(cluster: str) -> None:
    def deadly(items: Sequence[int], _model: Any, _pace: Batches) -> Iterator[list[tuple[int, int]]]:
        os.kill(os.getpid(), signal.SIGKILL)
        yield []

    with (
        RayWorkers(1, cluster, "cpu") as engine,
        pytest.raises(Problem, match=f"died {DEATHS} times over the same 5 premises"),
    ):
        worked(begun(engine, 5), deadly, [range(5)])


def test_a_model_that_kills_every_worker_is_given_up(cluster: str) -> None:
    def load() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with (
        RayWorkers(1, cluster, "cpu") as engine,
        pytest.raises(Problem, match=f"died {DEATHS} times as it loaded the model"),
    ):
        engine.start(load, Batches(None, "premises", "cpu"), 5)


def test_what_a_worker_raises_comes_whole(cluster: str) -> None:
    def refusing(items: Sequence[int], _model: Any, _pace: Batches) -> Iterator[list[tuple[int, int]]]:
        raise Problem("what", "remedy") if items[0] else ZeroDivisionError("a bug")

    for first, kind in ((1, Problem), (0, ZeroDivisionError)):
        with RayWorkers(1, cluster, "cpu") as engine, pytest.raises(kind) as raised:
            worked(begun(engine, 5), refusing, [range(first, 5)])
        assert kind is not Problem or (raised.value.what, raised.value.remedy) == ("what", "remedy")


def test_more_workers_than_processors_are_refused(cluster: str) -> None:
    with (
        RayWorkers(3, cluster, "cpu") as engine,
        pytest.raises(Problem, match="workers 3, and the Ray cluster has 2 proc"),
    ):
        begun(engine, 5)


def loading(folder: Path) -> Callable[[], Any]:
    from multicsr.means.names import language_model
    from stages.models import catalog

    return language_model(catalog.locate(str(folder), "llm"), "cpu", "float32")


def workers() -> list[psutil.Process]:
    """The processes of this test process's cluster that are at work: another one may have a cluster beside it."""

    def is_ours(one: psutil.Process) -> bool:
        try:
            at_work = "Worker.work" in one.name()
            return at_work and one.environ().get("RAY_AUTH_TOKEN") == os.environ["RAY_AUTH_TOKEN"]
        except psutil.Error:  # it ended meanwhile
            return False

    return [one for one in psutil.process_iter() if is_ours(one)]


def test_gen_and_score_write_the_rows_of_one_process_though_a_worker_is_killed(
    cluster: str, tiny_llm: Path, llm: LanguageModel
) -> None:
    stores = Store.memory(), Store.memory()
    found = []
    for store, engine in zip(stores, (InProcess(), None), strict=True):
        add_premises(store, [f"{PREMISES[n % 10][:-1]}, number {n}." for n in range(COUNT)])
        found.append((_gen(store, engine, cluster, tiny_llm), _score(store, engine, cluster, tiny_llm)))
    (here, here_scores), (ray, ray_scores) = found
    assert ray[0] == here[0]
    assert ray_scores[0] == here_scores[0]
    assert content(stores[0])["runs"] == content(stores[1])["runs"]
    assert sum("died and is replaced" in tick.warning for tick in ray[1]) == 1
    assert any("of 2 workers" in tick.note for tick in ray_scores[1])


CONFIG = GEN.__class__(**{**GEN.__dict__, "max_tokens": 12})


def _gen(store: Store, engine: Any, cluster: str, model: Path) -> tuple[list[Any], list[Tick]]:
    """The drafts of a run and its ticks; on Ray, one worker is killed when the first are stored."""
    ticks = []
    with RayWorkers(2, cluster, "cpu") as ray:
        for tick in gen.run(store, CONFIG, SET, loading(model), 2, "cpu", engine=engine or ray):
            if engine is None and tick.fresh and not any(before.fresh for before in ticks):
                workers()[0].kill()
            ticks.append(tick)
    return drafted(store, store.begin("gen", gen.VERSION, CONFIG, None)), ticks


def _score(store: Store, engine: Any, cluster: str, model: Path) -> tuple[list[Any], list[Tick]]:
    parent = store.begin("gen", gen.VERSION, CONFIG, None)
    with RayWorkers(2, cluster, "cpu") as ray:
        ticks = list(score.run(store, SCORE, parent, SET, loading(model), 2, "cpu", engine=engine or ray))
    return score_rows(store, store.begin("score", score.VERSION, SCORE, parent.id)), ticks


@pytest.fixture(scope="module")
def command(tiny_llm: Path, prompts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    path = tmp_path_factory.mktemp("many") / "many.txt"
    path.write_text("".join(f"{PREMISES[n % 10][:-1]}, number {n}.\n" for n in range(COUNT)))
    settings = ("--max-tokens", 12, "--dtype", "float32", "--batch", 1)
    return ("gen", "--premises", path, "--llm", tiny_llm, "--prompts", prompts_file, *settings)


@pytest.fixture(scope="module")
def whole(command: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    db = tmp_path_factory.mktemp("whole") / "s.db"
    assert multicsr(*command, "--db", db).code == 0
    return db


def stopped(db: Path, how: signal.Signals, *command: object) -> tuple[int, str, str]:
    """Signal the whole group of a command on a Ray of its own, as a terminal does, once rows are stored; all that it had
    started is gone soon after."""
    going = start(*command, "--engine", "ray", "--workers", 2, "--db", db, start_new_session=True)
    until = time.monotonic() + PATIENCE
    while not _stored(db) and going.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    started = psutil.Process(going.pid).children(recursive=True)
    names = {one: one.name() for one in started}
    assert "raylet" in names.values()
    assert sum(name.startswith("ray::Worker") for name in names.values()) == 2
    if how == signal.SIGKILL:
        going.kill()
    else:
        os.killpg(going.pid, how)
    out, err = going.communicate()
    if how == signal.SIGKILL:  # Ray's agents ask now and then whether somebody is left, and end a minute later
        started = [one for one in started if not names[one].endswith("Agent")]
    _, alive = psutil.wait_procs(started, timeout=60)
    assert alive == []
    return going.returncode, out, err


def _stored(db: Path) -> int:
    from test_kill import rows

    return rows(db, "drafts")


def same(db: Path, whole: Path) -> None:
    one, other = Store.open(db), Store.open(whole)
    ((id,),) = one.rows("SELECT id FROM runs")
    assert drafted(one, one.run(id)) == drafted(other, other.run(id))
    assert one.run(id).counts == other.run(id).counts


def test_a_killed_driver_goes_on_and_leaves_no_process(
    command: tuple[object, ...], whole: Path, cluster: str, tmp_path: Path
) -> None:
    db, before = tmp_path / "s.db", set(Path("/tmp").glob("multicsr-*"))
    code, _, _ = stopped(db, signal.SIGKILL, *command)
    for logs in set(Path("/tmp").glob("multicsr-*")) - before:
        shutil.rmtree(logs, ignore_errors=True)
    assert code == -signal.SIGKILL
    assert 0 < _stored(db) < 2 * COUNT
    ended = multicsr(*command, "--engine", "ray", "--workers", 2, "--ray-address", cluster, "--db", db, "--json")
    assert ended.json["done"] == COUNT
    same(db, whole)
    again = multicsr(*command, "--engine", "ray", "--db", db)
    assert "complete already" in again.err


def test_an_interrupted_driver_says_what_is_stored_and_leaves_no_process(
    command: tuple[object, ...], whole: Path, tmp_path: Path
) -> None:
    db, before = tmp_path / "s.db", set(Path("/tmp").glob("multicsr-*"))
    code, out, err = stopped(db, signal.SIGINT, *command)
    assert (code, out) == (130, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("stopped. ")
    assert f"{_stored(db) // 2} of {COUNT} premises are stored" in err
    assert set(Path("/tmp").glob("multicsr-*")) <= before
    assert multicsr(*command, "--db", db).code == 0
    same(db, whole)


HOSTED = ("--llm", "openai:m", "--base-url", "http://localhost:9", "--omega", 0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--engine", "spark"), "--engine 'spark' is not known"),
        (("--workers", 2), "--workers 2 goes with --engine ray"),
        (("--ray-address", "here:1"), "--ray-address here:1 goes with --engine ray"),
        (("--engine", "ray", "--workers", 0), "--workers 0 is out of range"),
        (("--engine", "ray", "--ray-address", "here"), "--ray-address here is not HOST:PORT"),
        (("--engine", "ray", "--ray-address", "here:70000"), "is not HOST:PORT"),
        (("--engine", "ray", *HOSTED), "openai:m is behind a server"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options: tuple[object, ...], says: str, tmp_path: Path) -> None:
    ended = refused(tmp_path / "s.db", "gen", *options)
    assert says in ended.err


def test_a_cluster_that_does_not_answer_is_refused_in_one_line(command: tuple[object, ...], tmp_path: Path) -> None:
    ended = multicsr(*command, "--engine", "ray", "--ray-address", "127.0.0.1:9", "--db", tmp_path / "s.db")
    assert "--ray-address 127.0.0.1:9 is no Ray cluster that can be joined" in ended.err


def test_without_ray_installed_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    """`None` there is how Python itself marks a module that cannot be imported."""
    program = "import sys; sys.modules['ray'] = None; from multicsr_cli.main import main; main()"
    asked = [sys.executable, "-c", program, "gen", "--engine", "ray", "--db", str(tmp_path / "s.db")]
    ran = subprocess.run(asked, capture_output=True, text=True)
    ended = Ended(ran.returncode, ran.stdout, ran.stderr)
    assert_problem(ended)
    assert "pip install 'multicsr[ray]'" in ended.err
    assert not (tmp_path / "s.db").exists()
