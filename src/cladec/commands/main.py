"""The command line: `cladec train`, `evaluate` (the two scripts as well), `explain`, ..."""

import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import tyro

from cladec.commands.compare import Comparison
from cladec.commands.explain import Explanation
from cladec.commands.layers import Listing
from cladec.commands.metrics import Metrics
from cladec.errors import InputError, InputWarning
from cladec.experiments import pictures
from cladec.experiments.evaluation import Evaluation
from cladec.experiments.sweep import Sweep
from cladec.models import loading
from cladec.progress import Progress
from cladec.report.write import ReportFile
from cladec.startup import own_version, start_keras
from cladec.storage.locks import locked
from cladec.storage.remote import Unreachable
from cladec.text import printable

INTERRUPTED = 130
BAD_INPUT = 2

Command = (
    Annotated[Sweep, tyro.conf.subcommand("train")]
    | Annotated[Evaluation, tyro.conf.subcommand("evaluate")]
    | Annotated[Explanation, tyro.conf.subcommand("explain")]
    | Annotated[Comparison, tyro.conf.subcommand("compare")]
    | Annotated[Metrics, tyro.conf.subcommand("metrics")]
    | Annotated[ReportFile, tyro.conf.subcommand("report")]
    | Annotated[Listing, tyro.conf.subcommand("layers")]
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The `cladec` command."""
    command = parse(arguments)
    actions: dict[type, Callable[[Any], None]] = {
        Sweep: train,
        Evaluation: evaluate,
        Explanation: explain,
        Comparison: compare,
        Metrics: measure,
        ReportFile: report,
        Listing: list_layers,
    }
    guarded(actions[type(command)], command)


def parse(arguments: Sequence[str] | None = None) -> Any:
    """The settings of the `cladec` command that the arguments name."""
    words = sys.argv[1:] if arguments is None else arguments
    if list(words) == ["--version"]:
        print(f"cladec {own_version()}")
        sys.exit()
    return settings(
        Command,
        prog="cladec",
        description="What a layer of an image classifier keeps, shown as pictures. "
        "With --version alone it says which version it is.",
        args=arguments,
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )


def create_models(description: str | None, arguments: Sequence[str] | None = None) -> None:
    """The script `create_models.py`, described by its docstring."""
    sweep = settings(Sweep, description=description, args=arguments)
    guarded(train, sweep)


def evaluate_models(description: str | None, arguments: Sequence[str] | None = None) -> None:
    """The script `eval.py`, described by its docstring."""
    evaluation = settings(Evaluation, description=description, args=arguments)
    guarded(evaluate, evaluation)


def settings(kind: Any, **options: Any) -> Any:
    """The settings on the command line; `options` are those of `tyro.cli`."""
    try:
        return tyro.cli(kind, **options)
    except Unreachable as error:
        tell(InputError(str(error)))
        sys.exit(BAD_INPUT)


def guarded(action: Callable[[Any], None], command: Any) -> None:
    """Run a command; what the user can put right is told in one line, with exit code 2.

    Args:
        action: what does it.
        command: its settings. A sweep or an evaluation that was stopped goes on from where it was.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # names of files may hold bytes that are no text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with warnings_told():
            action(command)
    except KeyboardInterrupt:
        resumes = isinstance(command, Sweep | Evaluation)
        hint = "; the same command goes on from here" if resumes else ""
        print(f"stopped{hint}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        told = error if isinstance(error, InputError) else refusal(error, command)
        if told is None:
            raise
        tell(told)
        sys.exit(BAD_INPUT)


def refusal(error: Exception, command: Any) -> InputError | None:
    """What to say where the machine refused memory or a file; None for any other error."""
    # TensorFlow's own error has no other base class that tells it from the rest.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return InputError(f"out of memory: run the same command again {less_memory(command)}")
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return InputError(f"{where}{error.strerror or error}")
    return None


def less_memory(command: Any) -> str:
    """Which settings of a command to lower where the memory is not enough."""
    lower = []
    if getattr(command, "workers", 1) > 1:
        lower.append("--workers 1")
    if hasattr(command, "batch_size"):
        lower.append("a smaller --batch-size")
    if hasattr(command, "images"):
        lower.append("fewer --images")
    return f"with {' or '.join(lower)}" if lower else "on a machine with more of it"


def tell(error: InputError) -> None:
    """Write what the user can put right, in one line."""
    print(f"error: {printable(' '.join(str(error).split()))}", file=sys.stderr)


@contextmanager
def warnings_told() -> Iterator[None]:
    """Write what may be wrong in one line, and leave other warnings as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", InputWarning)
        show = warnings.showwarning

        def tell_ours(message, category, *details, **more) -> None:
            if issubclass(category, InputWarning):
                text = " ".join(str(message).split())
                print(f"warning: {printable(text)}", file=sys.stderr)
            else:
                show(message, category, *details, **more)

        warnings.showwarning = tell_ours
        yield


@contextmanager
def complaints() -> Iterator[Callable[[InputError], None]]:
    """What is told here while the rest is done ends the command with exit code 2."""
    errors: list[InputError] = []

    def complain(error: InputError) -> None:
        tell(error)
        errors.append(error)

    yield complain
    if errors:
        sys.exit(BAD_INPUT)


def train(sweep: Sweep) -> None:
    """Train what is missing of a sweep and say where it is."""
    import cladec.experiments.sweep

    sweep.check()
    with locked(sweep.out):
        start_keras()
        with Progress() as progress:
            cladec.experiments.sweep.train(sweep, progress)
            folder = shlex.quote(str(sweep.out))
            progress.say(
                f"the models are in {folder}; measure them: python eval.py --models {folder}"
            )


def evaluate(evaluation: Evaluation) -> None:
    """Measure saved models; write tables and figures and print the wide table."""
    import cladec.experiments.evaluation

    evaluation.check()
    with locked(evaluation.out, reading=[evaluation.models]):
        start_keras()
        with Progress() as progress:
            table = cladec.experiments.evaluation.evaluate(evaluation, progress)
            from cladec.experiments import figures

            runs = cladec.experiments.evaluation.saved_runs(evaluation.models)
            runs = pictures.located(runs, evaluation.models, evaluation.data)
            files = figures.save_figures(runs, table, evaluation.models, evaluation.out)
    wide = cladec.experiments.evaluation.wide_table(table)
    show(wide.to_string(index=False, na_rep="", float_format=lambda value: f"{value:.4g}"))
    print_all([evaluation.out / cladec.experiments.evaluation.RESULT_TABLE, *files])


def explain(explanation: Explanation) -> None:
    """Explain image files and print the files written."""
    import cladec.commands.explain

    explanation.check()
    with locked(explanation.out), complaints() as complain:
        start_keras()
        with Progress() as progress:
            files = cladec.commands.explain.explain_files(explanation, progress, complain)
        print_all(files)


def compare(comparison: Comparison) -> None:
    """Rank explainers, print the ranks and the files written."""
    import cladec.commands.compare

    comparison.check()
    with locked(comparison.out), complaints() as complain:
        start_keras()
        with Progress() as progress:
            table, files = cladec.commands.compare.compare(comparison, progress, complain)
        wide = table.pivot(index="method", columns="measure", values="mean")[
            table["measure"].unique()
        ]
        show(wide.sort_values("mean_rank").to_string(float_format=lambda value: f"{value:.3f}"))
        print_all(files)


def measure(metrics: Metrics) -> None:
    """Measure a classifier, print the report and the files written."""
    import cladec.commands.metrics

    metrics.check()
    with locked(metrics.out), complaints() as complain:
        start_keras()
        with Progress() as progress:
            report, files = cladec.commands.metrics.measure(metrics, progress, complain)
        show(report.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
        print_all(files)


def report(settings: ReportFile) -> None:
    """Make the report of saved models and print where it is."""
    import cladec.report.write

    settings.check()
    start_keras()
    with Progress() as progress:
        file = cladec.report.write.write_report(settings, progress)
    print_all([file])


def list_layers(listing: Listing) -> None:
    """Print a table of the layers of a classifier."""
    start_keras()
    from cladec.models import layers, pixels

    classifier = loading.load_model(listing.model)
    pixels.examine(classifier)
    show(layers.table(layers.decodable_layers(classifier)))


def print_all(files: Sequence[Path]) -> None:
    """Print the files written, one a line."""
    for file in files:
        print(printable(str(file)))


def show(table: str) -> None:
    """Print a table, whatever its names hold."""
    print("\n".join(map(printable, table.split("\n"))))
