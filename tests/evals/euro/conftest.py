from __future__ import annotations

from pathlib import Path

import pytest

from evals.euro.write import everything
from tests.evals.euro.hub import write_hub


@pytest.fixture(scope="session")
def all_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hub(tmp_path_factory.mktemp("hub"), everything())


@pytest.fixture
def hub(all_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every data set, laid out like the hub; ``datasets`` caches elsewhere."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    return all_data
