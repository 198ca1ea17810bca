"""The command line: `cladec train`, `evaluate` (the two scripts as well), `explain`, ..."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import tyro

from cladec.comparing import Comparison
from cladec.errors import InputError
from cladec.evaluate import Evaluation
from cladec.explaining import Explanation
from cladec.progress import Progress
from cladec.scoring import Metrics
from cladec.startup import start_tensorflow
from cladec.sweep import Sweep

INTERRUPTED = 130
BAD_INPUT = 2

Command = (
    Annotated[Sweep, tyro.conf.subcommand("train")]
    | Annotated[Evaluation, tyro.conf.subcommand("evaluate")]
    | Annotated[Explanation, tyro.conf.subcommand("explain")]
    | Annotated[Comparison, tyro.conf.subcommand("compare")]
    | Annotated[Metrics, tyro.conf.subcommand("metrics")]
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The `cladec` command."""
    command: Any = tyro.cli(
        Command,
        prog="cladec",
        description="What a layer of an image classifier keeps, shown as pictures.",
        args=arguments,
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    actions: dict[type, Callable[[Any], None]] = {
        Sweep: train,
        Evaluation: evaluate,
        Explanation: explain,
        Comparison: compare,
        Metrics: measure,
    }
    resumes = isinstance(command, Sweep | Evaluation)
    guarded(lambda: actions[type(command)](command), resumes=resumes)


def create_models(description: str | None, arguments: Sequence[str] | None = None) -> None:
    """The script `create_models.py`, described by its docstring."""
    sweep = tyro.cli(Sweep, description=description, args=arguments)
    guarded(lambda: train(sweep))


def evaluate_models(description: str | None, arguments: Sequence[str] | None = None) -> None:
    """The script `eval.py`, described by its docstring."""
    evaluation = tyro.cli(Evaluation, description=description, args=arguments)
    guarded(lambda: evaluate(evaluation))


def guarded(action: Callable[[], None], *, resumes: bool = True) -> None:
    """Run a command; what the user can put right is told in one line, with exit code 2.

    Args:
        action: the command.
        resumes: the same command, stopped and started again, goes on from where it was.
    """
    try:
        action()
    except InputError as error:
        tell(error)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        hint = "; the same command goes on from here" if resumes else ""
        print(f"stopped{hint}", file=sys.stderr)
        sys.exit(INTERRUPTED)


def tell(error: InputError) -> None:
    """Write what the user can put right, in one line."""
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)


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
    import cladec.sweep

    sweep.check()
    start_tensorflow()
    with Progress() as progress:
        cladec.sweep.train(sweep, progress)
        progress.say(
            f"the models are in {sweep.out}; measure them: python eval.py --models {sweep.out}"
        )


def evaluate(evaluation: Evaluation) -> None:
    """Measure saved models; write tables and figures and print the wide table."""
    import cladec.evaluate

    start_tensorflow()
    with Progress() as progress:
        table = cladec.evaluate.evaluate(evaluation, progress)
        from cladec import figures

        runs = cladec.evaluate.saved_runs(evaluation.models)
        files = figures.save_figures(runs, table, evaluation.models, evaluation.out / "img")
    wide = cladec.evaluate.wide_table(table)
    print(wide.to_string(index=False, na_rep="", float_format=lambda value: f"{value:.4g}"))
    print_all([evaluation.out / cladec.evaluate.RESULT_TABLE, *files])


def explain(explanation: Explanation) -> None:
    """Explain image files and print the files written."""
    import cladec.explaining

    explanation.check()
    start_tensorflow()
    with complaints() as complain:
        with Progress() as progress:
            files = cladec.explaining.explain_files(explanation, progress, complain)
        print_all(files)


def compare(comparison: Comparison) -> None:
    """Rank explainers, print the ranks and the files written."""
    import cladec.comparing

    comparison.check()
    start_tensorflow()
    with complaints() as complain:
        with Progress() as progress:
            table, files = cladec.comparing.compare(comparison, progress, complain)
        wide = table.pivot(index="method", columns="measure", values="mean")[
            table["measure"].unique()
        ]
        print(wide.sort_values("mean_rank").to_string(float_format=lambda value: f"{value:.3f}"))
        print_all(files)


def measure(metrics: Metrics) -> None:
    """Measure a classifier, print the report and the files written."""
    import cladec.scoring

    metrics.check()
    start_tensorflow()
    with complaints() as complain:
        with Progress() as progress:
            report, files = cladec.scoring.measure(metrics, progress, complain)
        print(report.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
        print_all(files)


def print_all(files: Sequence[Path]) -> None:
    """Print the files written, one a line."""
    for file in files:
        print(file)
