"""Work on Ray: a real cluster of two nodes on this machine, nodes and workers killed, a bucket.

Ray and TensorFlow take a while to start, so there is one cluster and little is trained.
"""

import contextlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import own
import pandas as pd
import psutil
import pytest
import ray_nodes
from rich.console import Console
from scripts import TINY

from cladec.commands import main
from cladec.errors import InputError
from cladec.experiments.sweep import Sweep
from cladec.experiments.trainer import needs
from cladec.models import loading
from cladec.parallel import ray_cluster
from cladec.parallel.ray_cluster import Cluster, RayWorkers
from cladec.progress import Progress
from cladec.storage import remote

MISSING = [
    name for name in ("ray", "upath", "s3fs", "moto") if importlib.util.find_spec(name) is None
]
needs_extra = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra cladec[ray], and moto)"
)

THREADS = max(1, (os.cpu_count() or 1) // 2)
"""Of a model, with the scripts' two processes as with two nodes: then the numbers are the same to
the digit."""

TABLES = ("evaluation_result.csv", "evaluation_runs.csv")


@dataclass(frozen=True)
class Nodes:
    """Where the cluster is, and the process of each of its two nodes by the node's id."""

    address: str
    processes: dict[str, int]

    @property
    def options(self) -> list[str]:
        return ["--ray", self.address, "--cpus-per-run", str(THREADS)]

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.address, THREADS)


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """What Ray and S3 are told, here and in the processes that are started."""
    with pytest.MonkeyPatch.context() as patch:
        here, known = map(str, Path(__file__).parents[:2]), os.environ.get("PYTHONPATH", "")
        settings = ray_nodes.ENVIRONMENT | {
            "PYTHONPATH": os.pathsep.join([*here, known]),  # where the pieces below are found
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for name, value in settings.items():
            patch.setenv(name, value)
        yield patch


@pytest.fixture(scope="module")
def endpoint(environment: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that speaks S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    yield
    server.stop()


@pytest.fixture(scope="module")
def nodes(endpoint: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    log = tmp_path_factory.mktemp("nodes") / "log"
    with log.open("w") as errors:
        program = subprocess.Popen(
            [sys.executable, ray_nodes.__file__, str(THREADS)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    with program:
        for line in program.stdout:
            if line.startswith("{"):
                yield Nodes(**json.loads(line))
                break
        else:
            pytest.fail(f"no cluster: {log.read_text()}")
        program.stdin.close()


@needs_extra
def test_into_a_bucket_gives_the_same_tables(
    evaluated: Path, nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = "s3://bucket/of/models"
    main.create_models(None, [*TINY, "--out", bucket, *nodes.options])
    plan, *lines = capsys.readouterr().out.splitlines()
    assert plan.startswith("4 models to train")
    assert [line.split("]")[0] for line in lines[:4]] == ["[1/4", "[2/4", "[3/4", "[4/4"]
    assert "digits classifier: " in lines[0]
    assert all(" s, " in line and "loss " in line for line in lines[:4])
    main.evaluate_models(None, ["--models", bucket, "--out", f"{bucket}/eval", *nodes.options])
    place = remote.location(bucket)
    for name in TABLES:
        assert (place / "eval" / name).read_bytes() == (evaluated / name).read_bytes()
    assert len(list(place.rglob("*.keras"))) == 4
    assert len(list(place.rglob("*.png"))) == 4
    capsys.readouterr()
    main.create_models(None, [*TINY, "--out", bucket, *nodes.options])
    assert "4 of 4 models are trained already" in capsys.readouterr().out


@needs_extra
@pytest.mark.filterwarnings("ignore::cladec.errors.InputWarning")
def test_a_classifier_of_ones_own_into_a_bucket(
    nodes: Nodes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own.small_network(0).save(tmp_path / "my.keras")
    own.draw_pictures(tmp_path / "pets")
    given = ["--classifier", str(tmp_path / "my.keras"), "--datasets", str(tmp_path / "pets")]
    chosen = ["--layers", "middle", "--alphas", "0", "--epochs", "1", "--batch-size", "8"]
    bucket = "s3://bucket/of/own"
    train = [*given, *chosen, "--out", bucket]
    main.create_models(None, [*train, *nodes.options])
    assert "pets my middle cladec alpha 0" in capsys.readouterr().out
    main.evaluate_models(None, ["--models", bucket, "--out", f"{bucket}/eval", *nodes.options])
    with remote.location(f"{bucket}/eval/{TABLES[0]}").open() as file:
        table = pd.read_csv(file)
    assert set(table["architecture"]) == {"my"}
    assert table[["refAE", "0"]].notna().all(axis=None)
    capsys.readouterr()
    main.create_models(None, [*train, "--workers", "0"])
    assert "2 of 2 models are trained already" in capsys.readouterr().out


@dataclass(frozen=True)
class Piece:
    """A piece of work that a task can be sent."""

    title: str
    folder: Path
    value: int = 0


@dataclass(frozen=True)
class Attempt:
    """Writes a line for each attempt at a piece, then does what is said."""

    then: Callable[[Piece], object]

    def __call__(self, piece: Piece, report: ray_cluster.Teller) -> object:
        with (piece.folder / piece.title).open("a") as file:
            file.write(f"{os.getpid()}\n")
        report(0.5, {"loss": piece.value})
        return self.then(piece)


def attempts(piece: Piece) -> int:
    path = piece.folder / piece.title
    return len(path.read_text().splitlines()) if path.exists() else 0


def refuse(piece: Piece) -> None:
    if piece.value == 1:
        raise InputError("number one cannot be done")
    time.sleep(300)


def die(piece: Piece) -> int:
    """Kill this very process in the first attempt."""
    if attempts(piece) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return piece.value**2


def work(then: Callable, pieces: list[Piece], nodes: Nodes, needed=None) -> tuple[dict, str]:
    progress = Progress(Console(file=io.StringIO(), width=200))
    progress.begin(len(pieces))
    with RayWorkers(Attempt(then), nodes.cluster, pieces[0].folder, progress) as workers:
        results = dict(workers.run(pieces, needed))
    return results, progress.console.file.getvalue()


@needs_extra
def test_a_killed_worker_is_tried_again(nodes: Nodes, tmp_path: Path) -> None:
    pieces = [Piece(f"square {number}", tmp_path, number) for number in (2, 3)]
    results, shown = work(die, pieces, nodes, {pieces[1]: pieces[0]})
    assert results == {pieces[0]: 4, pieces[1]: 9}
    assert [attempts(piece) for piece in pieces] == [2, 2]
    assert [line.split(":")[0] for line in shown.splitlines() if line.startswith("[")] == [
        "[1/2] square 2",
        "[2/2] square 3",
    ]
    assert "loss 3" in shown


def die_always(piece: Piece) -> int:
    if piece.value < 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    return piece.value**2


@needs_extra
def test_what_dies_too_often_is_named_and_the_others_done(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "LOSSES", 0)
    pieces = [Piece(f"piece {value}", tmp_path, value) for value in (-1, 2, 3, 4)]
    results: dict[Piece, int] = {}

    def do() -> None:
        progress = Progress(Console(file=io.StringIO()))
        job = Attempt(die_always)
        with RayWorkers(job, nodes.cluster, tmp_path, progress) as workers:
            results.update(workers.run(pieces, {pieces[3]: pieces[0]}))

    with pytest.raises(InputError, match=r"did piece -1 \(.*1 that need .*ONEDNN"):
        do()
    assert results == {pieces[1]: 4, pieces[2]: 9}
    assert attempts(pieces[0]) == 1
    assert attempts(pieces[3]) == 0


@needs_extra
def test_bad_input_is_told_once_and_ends_the_rest(nodes: Nodes, tmp_path: Path) -> None:
    pieces = [Piece(f"piece {number}", tmp_path, number) for number in (0, 1, 2)]
    with pytest.raises(InputError) as caught:
        work(refuse, pieces, nodes, {pieces[2]: pieces[1]})
    assert str(caught.value) == "number one cannot be done"
    assert attempts(pieces[1]) == 1
    assert attempts(pieces[2]) == 0, "it needs what failed"


@needs_extra
def test_a_folder_that_another_machine_has_not(nodes: Nodes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist on machine .*share"):
        work(refuse, [Piece("piece", tmp_path / "nowhere")], nodes)


def test_the_classifier_comes_before_what_decodes_it(tmp_path: Path) -> None:
    runs = Sweep(datasets=("digits", "mnist"), alphas=(0.0, 1.0), layers=("dense",)).runs()
    for run, needed in needs(runs, tmp_path).items():
        assert needed.model == "classifier"
        assert needed.dataset == run.dataset
        assert run.model != "classifier"
    assert len(needs(runs, tmp_path)) == len(runs) - 2
    assert needs([run for run in runs if run.model != "classifier"], tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ([], None),
        (["--ray"], "local"),
        (["--ray", "--seed", "1"], "local"),
        (["--ray", "head:6379"], "head:6379"),
        (["--ray", "auto", "--cpus-per-run", "4", "--gpus-per-run", "0.5"], "auto"),
    ],
)
def test_the_address_may_be_left_out(arguments: list[str], address: str | None) -> None:
    assert main.settings(Sweep, args=arguments).cluster.ray == address


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Cluster(None, 0), "--cpus-per-run is 0"),
        (Cluster("auto", 1, -1.0), "--gpus-per-run is -1.0"),
        (Cluster("auto", 1, float("nan")), "--gpus-per-run is nan"),
    ],
)
def test_bad_settings(settings: Cluster, words: str) -> None:
    with pytest.raises(InputError, match=words):
        settings.check()


def test_a_dataset_that_other_machines_would_not_find(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match="absolute path"):
        Cluster("auto").check(["pictures"])
    Cluster("auto").check(["digits", str(tmp_path / "pictures")])
    Cluster("local").check(["pictures"])


def failure(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main.create_models(None, [*TINY, *arguments])
    assert ended.value.code == main.BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    return errors


@pytest.mark.parametrize(
    ("missing", "option"), [("ray", ["--ray"]), ("upath", ["--out", "s3://bucket/models"])]
)
def test_without_the_extra(
    missing: str, option: list[str], tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.chdir(tmp_path)
    assert "pip install 'cladec[ray]'" in failure(option, capsys)


@needs_extra
def test_an_address_where_nothing_is(tmp_path: Path, environment, capsys) -> None:
    told = failure(["--ray", "127.0.0.1:1", "--out", str(tmp_path)], capsys)
    assert "--ray 127.0.0.1:1" in told
    assert "foo://models" in failure(["--out", "foo://models"], capsys)


def other_node(nodes: Nodes) -> int:
    """The process of the node that this program does not work through: it could not go on."""
    import ray

    while not ray.is_initialized():
        time.sleep(0.1)
    here = ray.get_runtime_context().get_node_id()
    return next(process for name, process in nodes.processes.items() if name != here)


def lose_node(nodes: Nodes) -> None:
    """Kill a node and all of its processes as soon as a decoder is trained on it."""
    node = psutil.Process(other_node(nodes))
    while True:
        time.sleep(0.1)
        children = node.children(recursive=True)
        with contextlib.suppress(psutil.NoSuchProcess):
            titles = [" ".join(child.cmdline()) for child in children]
            if any(title.startswith("ray::digits dense") for title in titles):
                break
    for one in (node, *children):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


@needs_extra
def test_a_node_killed_midway_loses_nothing(trained: Path, nodes: Nodes, tmp_path: Path) -> None:
    """The last test, as it leaves one node."""
    killer = threading.Thread(target=lose_node, args=(nodes,), daemon=True)
    killer.start()
    main.create_models(None, [*TINY, "--out", str(tmp_path), *nodes.options])
    killer.join(timeout=1)
    assert not killer.is_alive(), "no decoder was trained on the node"
    names = [path.relative_to(trained) for path in trained.rglob("*.keras")]
    assert len(names) == 4
    for name in names:
        expected, found = (loading.load_saved(folder / name) for folder in (trained, tmp_path))
        for before, now in zip(expected.get_weights(), found.get_weights(), strict=True):
            np.testing.assert_array_equal(now, before)
