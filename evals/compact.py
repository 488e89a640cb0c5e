"""What a big benchmark is held in: its questions in a file, places as flags."""

from __future__ import annotations

import json
import os
import tempfile
import weakref
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, overload

AT_ONCE = 256  # questions read together


class Rows(Sequence[dict[str, Any]]):
    """Questions that lie in a file without a name; eight bytes of memory each.

    Made of JSON lines. The file goes with the object, and with a process that is killed.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._ends = array("Q", [0])
        self._file, name = tempfile.mkstemp()
        os.unlink(name)
        weakref.finalize(self, os.close, self._file)
        with open(self._file, "wb", closefd=False) as writing:
            for line in lines:
                self._ends.append(self._ends[-1] + writing.write(line))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        place = range(len(self))[at]
        found: dict[str, Any] = json.loads(self._read(place, place + 1))
        return found

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self), AT_ONCE):
            end = min(start + AT_ONCE, len(self))
            read, begin = self._read(start, end), self._ends[start]
            for place in range(start, end):
                yield json.loads(read[self._ends[place] - begin : self._ends[place + 1] - begin])

    def _read(self, start: int, end: int) -> bytes:
        # With its own offset: several threads may read.
        begin = self._ends[start]
        return os.pread(self._file, self._ends[end] - begin, begin)


class Places(Collection[int]):
    """A set of whole numbers from 0, a byte for each number up to the highest."""

    def __init__(self, places: Iterable[int] = ()) -> None:
        self._flags = bytearray()
        self._count = 0
        self.update(places)

    def __contains__(self, place: object) -> bool:
        return isinstance(place, int) and 0 <= place < len(self._flags) and self._flags[place] == 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return (place for place, flag in enumerate(self._flags) if flag)

    def add(self, place: int) -> None:
        if place not in self:
            missing = place + 1 - len(self._flags)
            self._flags.extend(bytes(max(0, missing)))
            self._flags[place] = 1
            self._count += 1

    def update(self, places: Iterable[int]) -> None:
        for place in places:
            self.add(place)

    def discard(self, place: int) -> None:
        if place in self:
            self._flags[place] = 0
            self._count -= 1
