"""Numbers and pictures for TensorBoard, on every backend of Keras.

Keras's own callback writes by TensorFlow; TensorBoard's own writer needs nothing else.
"""

from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from cladec.errors import needing
from cladec.storage.outputs import png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Events:
    """A new file of events in a folder that TensorBoard shows.

    Args:
        folder: the folder of the run; it is made.

    Raises:
        InputError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path):
        with needing("tensorboard", "writing to TensorBoard"):
            import tensorboard  # noqa: F401
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        self._writer = EventFileWriter(str(folder))

    def write(
        self, step: int, numbers: Mapping[str, float], figures: Mapping[str, "Figure"]
    ) -> None:
        """Write numbers and figures by their tags, so that they can be read at once."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in numbers.items()]
        for tag, figure in figures.items():
            image = Summary.Image(encoded_image_string=png(figure))
            values.append(Summary.Value(tag=tag, image=image))
        self._writer.add_event(Event(wall_time=time(), step=step, summary=Summary(value=values)))
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()
