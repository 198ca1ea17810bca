"""This module measures how much memory the process can still use."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GIB = 2**30

MACHINE = Path("/proc/meminfo")
PROCESS = Path("/proc/self/status")
CONTAINER = Path("/sys/fs/cgroup")


def free() -> int | None:
    """Return the bytes left by the machine, the process limits and the container; None if unknown.

    Memory that the system can reclaim, such as cached files, counts as free.
    """
    return min(_left(), default=None)


def _left() -> Iterator[int]:
    with suppress(OSError, KeyError):
        yield 1024 * _fields(MACHINE)["MemAvailable"]
    with suppress(OSError, KeyError, ImportError):
        import resource

        used = _fields(PROCESS)
        for limit, field in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
            most = resource.getrlimit(limit)[0]
            if most != resource.RLIM_INFINITY:
                yield max(0, most - 1024 * used[field])
    with suppress(OSError, KeyError, ValueError):
        most = int((CONTAINER / "memory.max").read_text())
        yield max(0, most - _fields(CONTAINER / "memory.stat")["anon"])


def _fields(path: Path) -> dict[str, int]:
    """Return the numbers in a file with lines "name: number"."""
    return {name: int(value) for name, value in re.findall(r"(\w+):?\s+(\d+)", path.read_text())}
