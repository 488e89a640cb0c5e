"""Where a data set of the hub is: in a folder of copies, on the hub, or in the hub's cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import yaml

HUB_SECONDS = 5.0  # before the hub counts as out of reach
LONGEST_CARD = 1_000_000  # bytes of a README.md that are looked at
LONGEST_LICENCE = 120
SWITCHES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
YES = ("1", "true", "yes", "on")


class OutOfReach(Exception):
    """The data set cannot be had here; the text says what was tried and the way out."""


class Place(NamedTuple):
    """What ``datasets.load_dataset`` takes, and what it stands for.

    ``revision`` is the hub's commit, or ``sha256:`` and the checksum of a local copy;
    ``path`` is the repository's name or a folder that is laid out like one.
    """

    path: str
    revision: str
    licence: str

    @property
    def is_folder(self) -> bool:
        return Path(self.path).is_absolute()

    @property
    def arguments(self) -> dict[str, str]:
        """Further arguments of ``load_dataset``."""
        return {} if self.is_folder else {"revision": self.revision}


def find(repo: str, mirror: Path | None = None) -> Place:
    """The data set ``repo`` ("owner/name"). Takes seconds at most; raises OutOfReach."""
    tried = []
    if mirror is not None:
        if (folder := mirror / repo).is_dir():
            return Place(str(folder.resolve()), _checksum(folder), _licence(folder))
        tried.append(f"the folder {mirror} has no {repo}")
    if forbidden():
        tried.append("the hub was not asked, as HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is 1")
    else:
        try:
            return _on_hub(repo)
        except Exception as error:  # every layer below has its own errors
            tried.append(f"the hub did not give it ({type(error).__name__}: {error})")
    if found := _cached(repo):
        return found
    tried.append("the cache of the hub has no copy")
    raise OutOfReach(
        f"The data set {repo} cannot be had: {'; '.join(tried)}. On a machine that "
        "reaches the hub, set both to 0 and install the suite; manage.py pack brings it here."
    )


def forbidden() -> bool:
    """Whether the environment says that nothing may be fetched; unset, anything may."""
    return any(os.environ.get(name, "").lower() in YES for name in SWITCHES)


def switched_on() -> bool:
    """Whether workers may fetch: they are offline unless both switches say otherwise."""
    return not any(os.environ.get(name, "1").lower() in YES for name in SWITCHES)


def _on_hub(repo: str) -> Place:
    from huggingface_hub import HfApi

    info = HfApi().dataset_info(repo, timeout=HUB_SECONDS)
    card = info.card_data.to_dict() if info.card_data else {}
    return Place(repo, str(info.sha), _named(card.get("license")))


def _cached(repo: str) -> Place | None:
    """The copy that an earlier download has left."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"datasets--{repo.replace('/', '--')}"
    try:
        revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    snapshot = folder / "snapshots" / revision
    return Place(str(snapshot), revision, _licence(snapshot)) if snapshot.is_dir() else None


def _licence(folder: Path) -> str:
    """What the card of a local copy says in its front matter."""
    try:
        with (folder / "README.md").open(encoding="utf-8") as card:
            text = card.read(LONGEST_CARD)
        _, front, _ = text.split("---\n", 2)
        return _named(yaml.safe_load(front).get("license"))
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return ""


def _named(value: object) -> str:
    names = value if isinstance(value, list) else [value]
    return ", ".join(str(name) for name in names if name)[:LONGEST_LICENCE]


def _checksum(folder: Path) -> str:
    """Over names and contents of all files, so that a changed copy shows."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"
