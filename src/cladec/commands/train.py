"""`cladec train` and create_models.py: train what is missing of a sweep."""

import shlex

from cladec.experiments.sweep import Sweep
from cladec.experiments.trainer import train
from cladec.progress import Progress


def run(sweep: Sweep) -> None:
    """Train what is missing of a sweep and say where it is."""
    with Progress() as progress:
        train(sweep, progress)
        folder = shlex.quote(str(sweep.out))
        progress.say(f"the models are in {folder}; measure them: python eval.py --models {folder}")
