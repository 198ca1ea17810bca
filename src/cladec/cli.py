"""The command line: `cladec train` and `cladec evaluate`, which the two scripts are as well."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import tyro

from cladec.errors import InputError
from cladec.evaluate import Evaluation
from cladec.progress import Progress
from cladec.startup import start_tensorflow
from cladec.sweep import Sweep

INTERRUPTED = 130
BAD_INPUT = 2

Command = (
    Annotated[Sweep, tyro.conf.subcommand("train")]
    | Annotated[Evaluation, tyro.conf.subcommand("evaluate")]
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The `cladec` command."""
    command: Sweep | Evaluation = tyro.cli(
        Command,
        prog="cladec",
        description="What a layer of an image classifier keeps, shown as pictures.",
        args=arguments,
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    if isinstance(command, Sweep):
        guarded(lambda: train(command))
    else:
        guarded(lambda: evaluate(command))


def create_models(description: str | None, arguments: Sequence[str] | None = None) -> None:
    """The script `create_models.py`, described by its docstring."""
    sweep = tyro.cli(Sweep, description=description, args=arguments)
    guarded(lambda: train(sweep))


def evaluate_models(description: str | None, arguments: Sequence[str] | None = None) -> None:
    """The script `eval.py`, described by its docstring."""
    evaluation = tyro.cli(Evaluation, description=description, args=arguments)
    guarded(lambda: evaluate(evaluation))


def guarded(action: Callable[[], None]) -> None:
    """Run a command; what the user can put right is told in one line, with exit code 2."""
    try:
        action()
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(INTERRUPTED)


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
    for file in (evaluation.out / cladec.evaluate.RESULT_TABLE, *files):
        print(file)
