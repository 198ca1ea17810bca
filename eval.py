"""Measure saved models; write evaluation_result.csv, evaluation_runs.csv and img/.

    python eval.py                                     saved-models -> eval
    python eval.py --models my-models --out my-eval

Then look at all of it in one page: cladec report.
"""

from cladec.commands.main import evaluate_models

if __name__ == "__main__":
    evaluate_models(__doc__)
