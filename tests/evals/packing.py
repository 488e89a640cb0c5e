"""Plain helpers for data packs: small ones, and ones that somebody has tampered with."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evals import checksums
from evals.formats import packs
from evals.formats.packs import MANIFEST, SIGNATURE, SIGNED, Made
from tests.evals.making import choice

SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
MADE = Made("2026-11-26T01:00:00+00:00", "erik", "0.1.0")
ROWS = "".join(json.dumps(row) + "\n" for row in choice()["rows"])
Members = dict[str, bytes]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def entry(text: str = ROWS, **fields: Any) -> dict[str, Any]:
    """A suite of one benchmark in canonical form, its questions being ``text``."""
    column = choice() | {
        "questions": sha256(text),
        "examples": None,
        "tags": [],
        "source": {},
        "cluster": "",
    }
    column = {name: column[name] for name in checksums.BENCHMARK}
    suite = {
        "slug": "small", "version": 1, "name": "Small suite", "description": "", "licence": "",
        "tags": [], "benchmarks": [column],
    }  # fmt: skip
    return suite | fields


def packed(text: str = ROWS, secret: Ed25519PrivateKey = SECRET, **fields: Any) -> bytes:
    """A pack as a portal writes it."""
    out = io.BytesIO()
    packs.write(out, entry(text, **fields), {sha256(text): text}.__getitem__, MADE, secret)
    return out.getvalue()


def members(pack: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(content: Members, packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for name, data in content.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = (stat.S_IFREG | 0o644) << 16, packing
            archive.writestr(info, data)
    return out.getvalue()


def signed(content: Members, secret: Ed25519PrivateKey = SECRET) -> Members:
    """``content`` with a right signature over whatever its manifest is."""
    signature = {
        "algorithm": "Ed25519",
        "public_key": base64.b64encode(secret.public_key().public_bytes_raw()).decode(),
        "signature": base64.b64encode(secret.sign(SIGNED + content[MANIFEST])).decode(),
    }
    return content | {SIGNATURE: checksums.canonical(signature)}


def altered(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A pack whose maker has put ``change`` into the manifest and signed that."""
    content = members(packed())
    manifest = json.loads(content[MANIFEST])
    change(manifest)
    return zipped(signed(content | {MANIFEST: checksums.canonical(manifest)}))
