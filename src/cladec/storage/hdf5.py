"""This module checks HDF5 files of weights before they are read.

HDF5 can read from other files, load filters as plugins and inflate a few bytes without end.
"""

import io
import math
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cladec.errors import InputError
from cladec.storage.sizes import VALUE, check_size

if TYPE_CHECKING:
    import h5py

DEPTH = 100
"""The deepest nesting of weights; each nested model takes two levels."""

HEAP = b"GCOL"
"""What stands, with its size in bytes 8 to 15, at the start of each heap of texts in a file."""

DEFLATE, SHUFFLE = 1, 2
FILTERS = ((), (SHUFFLE,), (DEFLATE,), (SHUFFLE, DEFLATE))
"""The numbers of the filters that chunks may have passed: those that are part of HDF5 itself."""


def opened(content: bytes, *, changeable: bool = False) -> "h5py.File":
    """Open the content of an HDF5 file; what is written into it stays in memory."""
    import h5py

    return h5py.File(io.BytesIO(content), "r+" if changeable else "r")


def longest_text(content: bytes) -> int:
    """Return the most bytes that one text in an HDF5 file can have: those of its largest heap."""
    longest, place = 0, content.find(HEAP)
    while place >= 0:
        longest = max(longest, int.from_bytes(content[place + 8 : place + 16], "little"))
        place = content.find(HEAP, place + 1)
    return min(longest, len(content))


def check(
    weights: "h5py.File", limit: int, *, chunks: bool = False, text: int | None = None
) -> None:
    """Check that all weights and attributes lie in the file and have a plausible size.

    Args:
        weights: the open file.
        limit: the most bytes that all weights, or one attribute, may take.
        chunks: whether weights may be stored in chunks, also compressed ones; Keras never does so.
        text: the most bytes of one text, to allow attributes that are lists of texts: each item may
            name the same one.

    Raises:
        InputError: a part is in another file, of no fixed size or too large.
        Exception: the file is damaged.
    """
    import h5py

    size = 0
    for name, thing in _things(weights):
        for key in thing.attrs:
            _check_attribute(name, thing.attrs.get_id(key), key, limit, text)
        if isinstance(thing, h5py.Dataset):
            size += _dataset_size(name, thing, chunks=chunks)
            check_size(size, limit)
            if thing.chunks:
                _check_chunks(name, thing)


def _check_attribute(name: str, attribute: Any, key: str, limit: int, text: int | None) -> None:
    """Check that an attribute is one text, or a list of a plausible size."""
    import h5py

    kind, shape = attribute.dtype, attribute.shape
    is_text = h5py.check_string_dtype(kind) is not None
    if shape == () and is_text:
        return  # one text cannot be longer than the file
    if shape is None or (kind.hasobject and not (is_text and text is not None)):
        raise InputError(f"its weights {name!r} have an odd attribute {key!r}")
    item = (text or 0) if kind.hasobject else kind.itemsize
    check_size(math.prod(shape) * (item + VALUE), limit)


def _dataset_size(name: str, data: "h5py.Dataset", *, chunks: bool) -> int:
    if data.is_virtual or data.external:
        raise InputError(f"its weights {name!r} lie in another file")
    if data.dtype.hasobject or (data.chunks and not chunks):
        raise InputError(
            f"its weights {name!r} are compressed, in chunks or of no fixed size: save "
            "the model again, as Keras writes none of these"
        )
    return max(math.prod(data.shape or ()), math.prod(data.chunks or ())) * data.dtype.itemsize


def _check_chunks(name: str, data: "h5py.Dataset") -> None:
    """Inflate compressed chunks as far as they may go; HDF5 itself would inflate without end."""
    properties = data.id.get_create_plist()
    filters = tuple(properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    if filters not in FILTERS:
        raise InputError(f"its weights {name!r} are compressed in a way that is never read")
    size = math.prod(data.chunks) * data.dtype.itemsize
    for number in range(data.id.get_num_chunks()):
        chunk = data.id.get_chunk_info(number)
        content = b""
        if chunk.size <= 2 * size + 1024:  # what cannot be compressed grows a little
            _, content = data.id.read_direct_chunk(chunk.chunk_offset)
            if DEFLATE in filters and not chunk.filter_mask:
                content = zlib.decompressobj().decompress(content, size + 1)
        if not 0 < len(content) <= size:
            raise InputError(f"a chunk of its weights {name!r} is larger than it declares")


def _things(weights: "h5py.File") -> Iterator[tuple[str, Any]]:
    """Yield every object in a file of weights once, with its path."""
    import h5py

    seen, todo = set(), [("", weights)]
    while todo:
        path, thing = todo.pop()
        address = h5py.h5o.get_info(thing.id).addr
        if address in seen:
            continue
        seen.add(address)
        yield path, thing
        for name in thing if isinstance(thing, h5py.Group) else ():
            below = f"{path}/{name}".strip("/")
            if not isinstance(thing.get(name, getlink=True), h5py.HardLink):
                raise InputError(f"its weights {below!r} are a link, perhaps to another file")
            if below.count("/") == DEPTH:
                raise InputError(f"its weights are nested more than {DEPTH} levels deep")
            todo.append((below, thing[name]))
