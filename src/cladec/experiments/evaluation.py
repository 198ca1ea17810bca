"""Define the settings of an evaluation, without Keras: `--help` and input errors appear at once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from cladec.errors import InputError
from cladec.experiments import records
from cladec.parallel.processes import check_workers, default_workers
from cladec.parallel.ray_cluster import Cluster
from cladec.storage import model_files
from cladec.storage.remote import Location


@dataclass(frozen=True)
class Evaluation:
    """Measure saved models on their test images, and write tables and figures.

    Examples:
        >>> evaluation = cladec.Evaluation(workers=0)
        >>> str(evaluation.models), str(evaluation.out)
        ('saved-models', 'eval')
    """

    resumes: ClassVar[bool] = True

    models: Location = Path("saved-models")
    """The folder with the trained models, as create_models.py leaves it, or a URL."""
    out: Location = Path("eval")
    """The folder for evaluation_result.csv, evaluation_runs.csv and img/, or a URL."""
    data: Path | None = None
    """The present place of picture folders that were moved after the training: the picture folder
    itself, or the folder that contains it."""
    evaluation_accuracy: bool = True
    """Whether to train a new network on the images of each decoder and measure it on the test
    images, which takes most of the time."""
    workers: int = field(default_factory=default_workers)
    """The number of models to measure at once, each in its own process with its share of the cores.
    0 measures in the process of the command, which starts sooner but ends if a model crashes."""
    cluster: Annotated[Cluster, tyro.conf.arg(name="")] = field(default_factory=Cluster)

    def check(self) -> None:
        """Check the settings without importing TensorFlow.

        Raises:
            InputError: if a number is out of range, there are no models, or the folder cannot be
                written.
        """
        check_workers(self.workers)
        if not self.models.is_dir():
            raise InputError(f"no trained models in {self.models}: run create_models.py first")
        records.check_within(self.data)
        model_files.check_writable(self.out)
