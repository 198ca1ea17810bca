"""`cladec evaluate` and eval.py: measure saved models, and write tables and figures."""

from cladec.commands.console import print_all, show
from cladec.experiments import records, results
from cladec.experiments.evaluation import Evaluation
from cladec.experiments.evaluator import evaluate
from cladec.experiments.figures import save_figures
from cladec.progress import Progress


def run(evaluation: Evaluation) -> None:
    """Measure saved models, write tables and figures, and print the wide table."""
    with Progress() as progress:
        table = evaluate(evaluation, progress)
        runs = records.saved_runs(evaluation.models)
        runs = records.located(runs, evaluation.models, evaluation.data)
        files = save_figures(runs, table, evaluation.models, evaluation.out)
    wide = results.wide_table(table)
    show(wide.to_string(index=False, na_rep="", float_format=lambda value: f"{value:.4g}"))
    print_all([evaluation.out / results.RESULT_TABLE, *files])
