"""`cladec train` and create_models.py: train the missing models of a sweep."""

import shlex

from cladec.commands.console import suggest
from cladec.experiments.sweep import Sweep
from cladec.experiments.trainer import train
from cladec.progress import Progress


def run(sweep: Sweep) -> None:
    """Train the missing models of a sweep, and print their folder."""
    with Progress() as progress:
        train(sweep, progress)
        progress.say(f"the models are in {sweep.out}")
    suggest(f"python eval.py --models {shlex.quote(str(sweep.out))}")
