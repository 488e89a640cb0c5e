"""Lists of samples: filtered and paged without reading them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from django.db.models import Q

from evals.models import Part, Sample
from workers.models import JobState

# What a list of samples can be narrowed to: how rows are found, and which values of
# ``Part.values`` are theirs.
KINDS: dict[str, tuple[Q, tuple[float | None, ...]]] = {
    "wrong": (Q(error="", correct=False), (0.0,)),
    "correct": (Q(error="", correct=True), (1.0,)),
    "error": (~Q(error=""), (None,)),
}


class SampleList(Sequence[Sample]):
    """The samples of ``parts`` in order, for paging: as quick for 25 000 as for 25.

    ``kind`` narrows to one of ``KINDS``. A finished part tells from its own row which samples
    are of a kind, so neither counting nor paging reads the samples; only a part that has
    stopped half-way is looked through.
    """

    def __init__(self, parts: Iterable[Part], kind: str = "") -> None:
        self._kind = kind if kind in KINDS else ""
        self._parts = {part.pk: part for part in parts if part.stored}
        self._matching = {pk: self._of(part) for pk, part in self._parts.items()}

    def __len__(self) -> int:
        return sum(len(found) for found in self._matching.values())

    def __getitem__(self, wanted: Any) -> Any:
        """A slice of samples, without the texts that no list shows."""
        start, stop, _step = wanted.indices(len(self))
        chosen, rows = Q(pk__in=[]), []
        for pk, found in self._matching.items():
            here = found[max(0, start) : max(0, stop)]
            start, stop = start - len(found), stop - len(found)
            if here:
                chosen |= Q(part=pk, doc_id__in=here)
        rows = Sample.objects.filter(chosen).defer("raw", "loglikelihoods", "choices", "metrics")
        place = {pk: number for number, pk in enumerate(self._parts)}
        ordered = sorted(rows, key=lambda row: (place[row.part_id], row.doc_id))
        for row in ordered:
            row.part = self._parts[row.part_id]
        return ordered

    def _of(self, part: Part) -> Sequence[int]:
        """The doc_ids of ``part`` that are of the kind."""
        if not self._kind and part.stored == part.total:
            return range(part.total)
        if self._kind and part.pk in self._values:
            mine = KINDS[self._kind][1]
            return [doc for doc, value in enumerate(self._values[part.pk]) if value in mine]
        return self._stored.get(part.pk, [])

    @cached_property
    def _values(self) -> dict[int, list[float | None]]:
        done = [part.pk for part in self._parts.values() if part.state == JobState.DONE]
        known = Part.objects.filter(pk__in=done, values__isnull=False)
        return dict(known.order_by().values_list("pk", "values"))

    @cached_property
    def _stored(self) -> dict[int, list[int]]:
        """The same from the samples, for parts that cannot tell."""
        known = set(self._values) if self._kind else set()
        asked = [
            pk
            for pk, part in self._parts.items()
            if pk not in known and (self._kind or part.stored != part.total)
        ]
        rows = Sample.objects.filter(part__in=asked)
        if self._kind:
            rows = rows.filter(KINDS[self._kind][0])
        found: dict[int, list[int]] = {}
        for pk, doc_id in rows.order_by("part", "doc_id").values_list("part", "doc_id"):
            found.setdefault(pk, []).append(doc_id)
        return found
