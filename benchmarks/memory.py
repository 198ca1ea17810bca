"""How much memory one photograph takes: every method on networks of `keras.applications`.

    python benchmarks/memory.py                            every network and method, hours
    python benchmarks/memory.py --networks ResNet50 --methods rise lime

The cells of `families.py`, with the default options of every method: GiB of resident memory above
what the process held when the network was loaded, and the processor seconds of a first explanation.
"""

from dataclasses import dataclass

from families import METHODS, Families, explain_apart
from rich.console import Console
from rich.table import Table

from cladec.commands import main as command_line


@dataclass(frozen=True)
class Bench:
    """Measure the memory and the time of explaining one photograph."""

    networks: tuple[str, ...] = (
        *("MobileNetV2", "ResNet50", "EfficientNetB0", "ConvNeXtTiny", "Xception"),
    )
    """Networks of keras.applications."""
    methods: tuple[str, ...] = METHODS
    """Methods that make maps."""
    seconds: int = 1800
    """After which a method is stopped."""


def main(bench: Bench) -> None:
    """Print the table, a row for each method."""
    defaults = Families(samples=0, seconds=bench.seconds)
    units = [f"{network} {unit}" for network in bench.networks for unit in ("GiB", "s")]
    table = Table("method", *units)
    for method in bench.methods:
        cells = [explain_apart(network, method, defaults) for network in bench.networks]
        texts = [str(cell[what]) for cell in cells for what in ("gib", "seconds")]
        table.add_row(method, *texts)
        print(method, *texts, *(cell["result"] for cell in cells), flush=True)
    Console().print(table)


if __name__ == "__main__":
    main(command_line.settings(Bench, description=__doc__))
