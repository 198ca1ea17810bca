"""What is to be measured: the settings of an evaluation.

No Keras here, so that `--help` and bad input answer at once.
"""

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
    """Measure saved models on their test images and write tables and pictures.

    Examples:
        >>> evaluation = cladec.Evaluation(workers=0)
        >>> str(evaluation.models), str(evaluation.out)
        ('saved-models', 'eval')
    """

    resumes: ClassVar[bool] = True

    models: Location = Path("saved-models")
    """The folder of trained models, as create_models.py leaves it, or a URL."""
    out: Location = Path("eval")
    """The folder that gets evaluation_result.csv, evaluation_runs.csv and img/, or a URL."""
    data: Path | None = None
    """Where folders of pictures are now that were moved since: such a folder itself, or the one
    that they lie in."""
    workers: int = field(default_factory=default_workers)
    """How many models are measured at once, each in its own process with its share of the cores; 0
    measures in the process of the command itself, which starts sooner and dies with its work."""
    cluster: Annotated[Cluster, tyro.conf.arg(name="")] = field(default_factory=Cluster)

    def check(self) -> None:
        """Find what is wrong with the settings, without TensorFlow.

        Raises:
            InputError: a number out of range, no models, a folder that cannot be written.
        """
        check_workers(self.workers)
        if not self.models.is_dir():
            raise InputError(f"no trained models in {self.models}: run create_models.py first")
        records.check_within(self.data)
        model_files.check_writable(self.out)
