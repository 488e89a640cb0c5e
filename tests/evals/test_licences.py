from __future__ import annotations

import pytest

from evals import licences
from tests.evals.packing import entry


@pytest.mark.parametrize(
    ("licence", "kind"),
    [
        ("CC0-1.0", "free"), ("CC-BY-4.0", "free"), ("cc-by-sa-4.0", "free"), ("MIT", "free"),
        ("Apache-2.0", "free"), ("ODC-BY", "free"), ("CC-BY-NC-4.0", "conditions"),
        ("cc-by-nc-sa-4.0", "conditions"), ("CC BY-ND 4.0", "conditions"),
        ("for research only", "conditions"), ("All rights reserved", "forbidden"),
        ("proprietary", "forbidden"), ("may not be redistributed", "forbidden"),
        ("", "unknown"), ("other", "unknown"), ("limited", "unknown"),
    ],
)  # fmt: skip
def test_a_licence_is_read_by_its_name(licence: str, kind: str) -> None:
    assert licences.kind(licence) == kind


def test_the_licence_of_the_source_goes_before_that_of_the_suite() -> None:
    suite = entry(licence="CC0-1.0")
    assert list(licences.concerns(suite)) == []
    suite["benchmarks"][0]["source"] = {"licence": "proprietary"}
    assert [str(found) for found in licences.concerns(suite)] == [
        "the licence forbids to pass it on (proprietary): colours"
    ]
