"""Run work on more than one machine, with every piece as a task of Ray.

Ray decides where and when a task runs, makes it wait for the task whose result it needs, and
restarts it if its process or machine is lost.
"""

import logging
import os
import platform
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.constructors import PrimitiveConstructorSpec

from cladec.errors import InputError, check_at_least_one, needing
from cladec.parallel.processes import SECONDS_TO_CLEAN_UP, Job, Piece, Workers, lost
from cladec.progress import Progress, Step
from cladec.storage.remote import is_remote

if TYPE_CHECKING:
    import ray

LOCAL = "local"
"""The address for a cluster that is started for the work on this machine only."""

SECONDS = 0.25
"""The time between two updates of the progress display."""

LOSSES = 3
"""The number of times that a piece is restarted after its process or machine was lost."""

SECONDS_TO_ANSWER = 10
"""The time that a cluster has to accept a connection."""

ADVICE = (
    "with a higher --cpus-per-run if memory is short, so that fewer models share it, or with "
    "TF_ENABLE_ONEDNN_OPTS=0 or KERAS_BACKEND=jax in the environment of the machines if TensorFlow "
    "crashes"
)
"""The advice for a second attempt after Ray gave up."""

OBJECT_STORE = 100 * 2**20
"""The shared memory of a cluster started here in bytes; it is small, since models are files."""

Address = Annotated[
    str | None,
    PrimitiveConstructorSpec(
        nargs=(0, 1),
        metavar="[ADDRESS]",
        instance_from_str=lambda words: words[0] if words else LOCAL,
        is_instance=lambda value: value is None or isinstance(value, str),
        str_from_instance=lambda address: [str(address)],
    ),
]


@dataclass(frozen=True)
class Cluster:
    """Where the work is done: in processes of this machine, or on Ray."""

    ray: Address = None
    """Whether to work on Ray instead of --workers: on a cluster of this machine only, or on the
    cluster at ADDRESS (host:port, or auto for the cluster that this machine belongs to)."""
    cpus_per_run: int = 1
    """The number of cores, and of threads, for each model on Ray."""
    gpus_per_run: float = 0.0
    """The number of GPUs for each model on Ray; with 0.5, two models share one GPU."""

    def check(self, datasets: Sequence[str] = ()) -> None:
        """Check the settings.

        Args:
            datasets: the datasets that each machine loads.

        Raises:
            InputError: if a number is out of range, or other machines would not find a folder.
        """
        check_at_least_one("cpus_per_run", self.cpus_per_run)
        if not self.gpus_per_run >= 0:
            raise InputError(f"--gpus-per-run is {self.gpus_per_run}: expected 0 or more")
        for name in datasets if self.ray not in (None, LOCAL) else ():
            if os.path.isdir(name) and not os.path.isabs(name):
                raise InputError(
                    f"dataset {name} is a relative path: with --ray {self.ray}, give the absolute "
                    f"path of a folder that all machines share, such as {os.path.abspath(name)}"
                )

    def workers(
        self, job: Job, count: int, folder: Path, progress: Progress
    ) -> "Workers | RayWorkers":
        """Return the workers for the pieces of work: processes of this machine, or tasks of Ray.

        Args:
            job: the function that does a piece of work; it must be picklable.
            count: the number of processes on this machine.
            folder: the folder that the job reads and writes.
            progress: the display that shows the running pieces.
        """
        if self.ray is None:
            return Workers(job, count, progress)
        return RayWorkers(job, self, folder, progress)


class RayWorkers:
    """Tasks of Ray that do pieces of work, like `Workers`.

    Args:
        job, folder, progress: see `Cluster.workers`; each machine must have the folder.
        cluster: where, and with how much of it for each piece.
    """

    def __init__(self, job: Job, cluster: Cluster, folder: Path, progress: Progress):
        self.job, self.cluster, self.folder, self.progress = job, cluster, folder, progress
        self._unfinished: dict[ray.ObjectRef, int] = {}

    def __enter__(self) -> "RayWorkers":
        connect(str(self.cluster.ray))
        self._say_if_none_is_large_enough()
        return self

    def __exit__(self, *error: object) -> None:
        import ray

        tasks = list(self._unfinished)
        for task in tasks:
            ray.cancel(task)
        if tasks:
            ray.wait(tasks, num_returns=len(tasks), timeout=SECONDS_TO_CLEAN_UP)
        ray.shutdown()

    def _say_if_none_is_large_enough(self) -> None:
        import ray

        cpus, gpus = self.cluster.cpus_per_run, self.cluster.gpus_per_run
        machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
        if not any(
            machine.get("CPU", 0) >= cpus and machine.get("GPU", 0) >= gpus for machine in machines
        ):
            self.progress.say(
                f"no machine of the cluster has {cpus} cores and {gpus:g} GPUs for a model: the "
                "work waits until one joins (see --cpus-per-run and --gpus-per-run)"
            )

    def run(
        self, pieces: Sequence[Piece], needs: Mapping[Piece, Piece] | None = None
    ) -> Iterator[tuple[Piece, Any]]:
        """As `Workers.run`; a piece whose process was lost is done again, a few times."""
        import ray

        needs = needs or {}
        died: dict[Piece, str] = {}
        # Ray restarts the board, without its content, if its machine is lost.
        board = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Board).remote()
        tasks = self._submit(pieces, needs, board)
        self._unfinished = {task: number for number, task in enumerate(tasks)}
        steps: dict[int, Step] = {}
        while self._unfinished:
            finished, _ = ray.wait(list(self._unfinished), timeout=SECONDS)
            self._hear(board, pieces, steps)
            for task in finished:
                number = self._unfinished.pop(task)
                piece = pieces[number]
                if needs.get(piece) in died:  # Ray has not begun it
                    continue
                step = steps.pop(number, None) or Step(self.progress, piece.title)
                result, told, reason = _result(task)
                if reason:
                    died[piece] = reason
                    self.progress.running.remove(step)
                    self.progress.say(f"{piece.title} is given up: {reason}")
                    continue
                step.report(1.0, told)
                step.finish()
                yield piece, result
        if died:
            raise lost(died, pieces, needs, ADVICE)

    def _submit(
        self, pieces: Sequence[Piece], needs: Mapping[Piece, Piece], board: Any
    ) -> list["ray.ObjectRef"]:
        import ray

        cpus = self.cluster.cpus_per_run
        work = ray.remote(num_cpus=cpus, num_gpus=self.cluster.gpus_per_run, max_retries=LOSSES)(
            _work
        )
        job = ray.put(self.job)
        tasks: dict[Piece, ray.ObjectRef] = {}
        for number, piece in enumerate(pieces):
            needed = tasks.get(needs[piece]) if piece in needs else None
            tasks[piece] = work.options(name=piece.title).remote(
                [job], piece, Teller(board, number), self.folder, cpus, needed
            )
        return list(tasks.values())

    def _hear(self, board: Any, pieces: Sequence[Piece], steps: dict[int, Step]) -> None:
        """Show the progress that the tasks have reported since the last call."""
        import ray

        for number, (share, values) in ray.get(board.take.remote()).items():
            if number not in self._unfinished.values():
                continue
            if number not in steps:
                steps[number] = Step(self.progress, pieces[number].title)
            if share < steps[number].share:
                self.progress.say(f"{pieces[number].title} begins again: its process was lost")
            steps[number].report(share, values)


def connect(address: str) -> None:
    """Connect to the cluster at `address`, or start one on this machine only.

    Raises:
        InputError: if Ray is not installed, there is no cluster, or it does not answer.
    """
    # Otherwise Ray hides all GPUs from tasks that request none, and warns each time.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        settings |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
        # On other systems than Windows and macOS, Ray would listen to the network by default.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    with needing("ray", "--ray"):
        import ray
    try:
        if ":" in address:
            _check_answers(address)
        ray.init(address, **settings)
    # Ray sometimes raises a bare `Exception`.
    except Exception as error:
        ray.shutdown()
        raise InputError(
            f"--ray {address}: no cluster could be reached or started ({error}): run `ray start` "
            "with the same versions of Python and Ray"
        ) from None


def _check_answers(address: str) -> None:
    """Raise an error at once if nothing listens at host:port; Ray would take many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_ANSWER).close()


def _result(task: "ray.ObjectRef") -> tuple[Any, dict[str, float], str]:
    """Return the result of a task, its last values and "", or why Ray gave it up."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return *ray.get(task), ""
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from None
        raise
    except RayError as error:
        return None, {}, str(error).strip().splitlines()[0]


class Board:
    """A Ray actor to which tasks report their progress."""

    def __init__(self) -> None:
        self._latest: dict[int, tuple[float, dict[str, float]]] = {}

    def tell(self, number: int, share: float, values: dict[str, float]) -> None:
        """Replace the progress of piece `number`."""
        self._latest[number] = (share, values)

    def take(self) -> dict[int, tuple[float, dict[str, float]]]:
        """Return the progress that was reported since the last call."""
        latest, self._latest = self._latest, {}
        return latest


class Teller:
    """An `OnProgress` that reports to the board and keeps the last values."""

    def __init__(self, board: Any, number: int):
        self.board, self.number = board, number
        self.values: dict[str, float] = {}

    def __call__(self, share: float, values: Mapping[str, float]) -> None:
        self.values = dict(values)
        self.board.tell.remote(self.number, share, self.values)


def _work(
    job: list["ray.ObjectRef"],
    piece: Any,
    report: Teller,
    folder: Path,
    threads: int,
    needed: Any,
) -> tuple[Any, dict[str, float]]:
    """Do a piece of work in a process of Ray, which starts it when `needed` is done."""
    from cladec.startup import start_keras

    report(0.0, {})
    if not is_remote(folder) and not folder.is_dir():
        raise InputError(
            f"folder {folder} does not exist on machine {platform.node()}: choose one that all "
            "machines share, or a URL such as s3://bucket/models"
        )
    start_keras(threads)
    return _kept(job[0])(piece, report), report.values


@lru_cache(maxsize=1)
def _kept(job: "ray.ObjectRef") -> Job:
    """Return the job, which is copied into this process only once and can keep data there."""
    import ray

    return ray.get(job)
