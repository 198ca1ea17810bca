"""How the time of a sweep falls with the number of workers on Ray.

    python benchmarks/cluster.py --models saved-models

Trains the digits with create_models.py --ray on clusters of one and two nodes of this machine, each
with one core. What more workers would take is computed: each takes the next model whose classifier
is done, for the seconds that the model's record holds. With --models, the same for a sweep that is
there, and for as many of them, of other datasets, as have 1,000 models. The floor, which no number
of workers goes below, is the longest pair of a classifier and a model that decodes it.
"""

import heapq
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cladec.commands import main as command_line
from cladec.experiments.records import saved_runs
from cladec.experiments.runs import Run
from cladec.experiments.trainer import needs
from cladec.storage import model_files

ROOT = Path(__file__).parent.parent
COMPUTED = (1, 2, 4, 8, 16, 32)
MANY = 1_000
"""The models of a large sweep."""

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True)
class Scaling:
    """Time sweeps on Ray, and compute what more workers would take."""

    models: Path | None = None
    """A folder of trained models, for a second table that is computed alone."""


@contextmanager
def nodes(count: int) -> Iterator[str]:
    """The address of a cluster of `count` nodes with one core each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for _ in range(count):
        cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1", include_dashboard=False)
    yield cluster.address
    cluster.shutdown()


def measured(workers: int, out: Path) -> float:
    """Seconds of the digits sweep on so many nodes."""
    with nodes(workers) as address:
        start = time.perf_counter()
        command = [sys.executable, str(ROOT / "create_models.py"), "--datasets", "digits"]
        subprocess.run([*command, "--out", str(out), "--ray", address], check=True)
        return time.perf_counter() - start


def recorded(models: Path) -> dict[Run, float]:
    """The runs below a folder and how long each took, a classifier before what decodes it."""
    return {run: model_files.verify(run.path(models))["seconds"] for run in saved_runs(models)}


def computed(seconds: dict[Run, float], workers: int) -> float:
    """When the last run ends if each worker always takes the next one that can begin."""
    needed = needs(list(seconds), Path())
    waiting, ends, free = list(seconds), dict[Run, float](), [0.0] * workers
    while waiting:
        now = heapq.heappop(free)
        begins = {
            run: max(now, ends.get(needed[run], float("inf")) if run in needed else now)
            for run in waiting
        }
        run = min(waiting, key=begins.__getitem__)
        waiting.remove(run)
        ends[run] = begins[run] + seconds[run]
        heapq.heappush(free, ends[run])
    return max(ends.values())


def floor(seconds: dict[Run, float]) -> str:
    """The longest run with the one that it needs, in words."""
    needed = needs(list(seconds), Path())
    pairs = {run: seconds[run] + seconds.get(needed.get(run), 0.0) for run in seconds}
    longest = max(pairs, key=pairs.__getitem__)
    return f"floor: {pairs[longest]:.0f} s, the classifier and then {longest.title}"


def several(seconds: dict[Run, float]) -> dict[Run, float]:
    """The runs and seconds of a sweep of so many datasets that they are `MANY`."""
    copies = range(-(-MANY // len(seconds)))
    return {
        replace(run, dataset=f"{run.dataset}-{copy}", name=f"{run.name}-{copy}"): taken
        for copy in copies
        for run, taken in seconds.items()
    }


def print_table(title: str, seconds: dict[Run, float], walls: dict[int, float]) -> None:
    """The times of one sweep; to what is computed the start is added that one worker needed."""
    start = walls[1] - computed(seconds, 1) if 1 in walls else 0.0
    table = Table("workers", "measured, s", "computed, s", "times as fast", title=title)
    first = start + computed(seconds, 1)
    for workers in COMPUTED:
        wall = start + computed(seconds, workers)
        shown = f"{walls[workers]:.0f}" if workers in walls else ""
        table.add_row(str(workers), shown, f"{wall:.0f}", f"{first / wall:.1f}")
    table.caption = floor(seconds)
    Console(width=100).print(table)


def main(scaling: Scaling) -> None:
    """Measure, compute and print."""
    os.environ |= LOOPBACK
    walls = {}
    with tempfile.TemporaryDirectory() as folder:
        for workers in (1, 2):
            walls[workers] = measured(workers, Path(folder) / str(workers))
        seconds = recorded(Path(folder) / "1")
    print_table(f"digits, {len(seconds)} models", seconds, walls)
    if scaling.models is not None:
        seconds = recorded(scaling.models)
        for sweep in (seconds, several(seconds)):
            print_table(f"{scaling.models}, {len(sweep)} models, training alone", sweep, {})


if __name__ == "__main__":
    main(command_line.settings(Scaling, description=__doc__))
