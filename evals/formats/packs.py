"""Data packs: a suite with its questions in one signed file. No Django.

A pack is a zip of ``manifest.json`` (canonical JSON: the suite, and each file's checksum, rows
and bytes), ``signature.json`` (Ed25519 over the manifest) and ``rows/<sha256>.jsonl``. What is
read comes from strangers: every count and size is bounded, nothing is unpacked to disk, and the
first thing that does not fit refuses the whole pack.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from evals import checksums
from evals.sentences import Told, gettext_noop

FORMAT = 1
MANIFEST, SIGNATURE = "manifest.json", "signature.json"
ROWS = re.compile(r"rows/([0-9a-f]{64})\.jsonl")
SIGNED = b"pruefstand data pack\n"  # before the manifest, so that no other text can be passed off
MEBIBYTE = 1024 * 1024
MOST_FILES = 5000
MOST_PACKED = 512 * MEBIBYTE
MOST_ROWS = 2048 * MEBIBYTE  # bytes of all rows, unpacked
MOST_MANIFEST = 16 * MEBIBYTE
MOST_DIRECTORY = MEBIBYTE
MOST_RATIO = 300  # bytes unpacked for one packed, of files above a mebibyte
KEPT = (1980, 1, 1, 0, 0, 0)  # no times: the same content is the same bytes
END = struct.Struct("<4s4H2LH")  # the last record of a zip


class PackInvalid(Told):
    """The file is no pack that can be trusted; the text names place, value and way out."""


@dataclass(frozen=True)
class Made:
    """When, by whom and by which version of the portal a pack was made."""

    at: str
    by: str
    portal: str


class Rows(Mapping[str, str]):
    """The rows of a pack's files by their checksum; each is read when it is asked for."""

    def __init__(self, archive: zipfile.ZipFile, names: Iterable[str]) -> None:
        self._archive, self._names = archive, sorted(names)

    def __getitem__(self, name: str) -> str:
        return self._archive.read(path_of(name)).decode()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Pack:
    """A pack whose signature and checksums are right; whose key it is, is for the reader to say."""

    entry: dict[str, Any]  # as ``checksums.of_suite`` takes it
    sha256: str  # of the suite
    files: dict[str, dict[str, Any]]  # by checksum: rows and bytes
    made: Made
    signer: bytes  # public key
    rows: Rows


def fingerprint(public: bytes) -> str:
    """128 bits of the key's SHA-256, to be read out on the phone: ``3f2a 91bc …``."""
    digest = hashlib.sha256(public).hexdigest()[:32]
    return " ".join(digest[at : at + 4] for at in range(0, 32, 4))


def public_key(text: str) -> bytes:
    """The 32 bytes of a public key as it is shown. Raises PackInvalid."""
    try:
        found = base64.b64decode(text.strip().encode(), validate=True)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise PackInvalid(
            gettext_noop("A public key has 44 letters, digits and signs and ends in “=”.")
        )
    return found


def write(
    out: IO[bytes],
    entry: Mapping[str, Any],
    text_of: Callable[[str], str],
    made: Made,
    secret: Ed25519PrivateKey,
) -> None:
    """Write a pack to ``out``; the same arguments give the same bytes.

    ``entry`` is a suite as ``checksums.of_suite`` takes it; ``text_of`` gives the rows (JSON
    Lines) with a checksum, so that one file at a time is in memory.
    """
    files = {}
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(_asked(entry)):
            data = text_of(name).encode()
            files[name] = {"rows": _count(data), "bytes": len(data)}
            _put(archive, path_of(name), data)
        manifest = checksums.canonical(
            {
                "format": FORMAT,
                "suite": entry,
                "sha256": checksums.of_suite(entry),
                "files": files,
                "made": vars(made),
            }
        )
        public = secret.public_key().public_bytes_raw()
        signature = {
            "algorithm": "Ed25519",
            "public_key": base64.b64encode(public).decode(),
            "signature": base64.b64encode(secret.sign(SIGNED + manifest)).decode(),
        }
        _put(archive, MANIFEST, manifest)
        _put(archive, SIGNATURE, checksums.canonical(signature))


def read(file: IO[bytes]) -> Pack:
    """The pack in ``file``, everything in it checked. Raises PackInvalid.

    ``file`` must stay open as long as rows are read.
    """
    _check_end(file)
    try:
        archive = zipfile.ZipFile(file)
        infos = _members(archive)
        manifest, signer = _manifest(archive, infos)
        files = _described(manifest)
        _check_rows(archive, infos, files)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        said = gettext_noop("The pack is damaged: {error}. Fetch it again.")
        raise PackInvalid(said, error=error) from error
    return Pack(
        manifest["suite"], manifest["sha256"], files, Made(**manifest["made"]),
        signer, Rows(archive, files),
    )  # fmt: skip


def path_of(name: str) -> str:
    """Where the rows with this checksum are in the zip."""
    return f"rows/{name}.jsonl"


def _asked(entry: Mapping[str, Any]) -> set[str]:
    """The checksums of the rows that the benchmarks of a suite use."""
    questions = {item["questions"] for item in entry["benchmarks"]}
    return questions | {item["examples"] for item in entry["benchmarks"] if item.get("examples")}


def _put(archive: zipfile.ZipFile, path: str, data: bytes) -> None:
    info = zipfile.ZipInfo(path, KEPT)
    info.create_system = 3  # the same on every system
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data, compresslevel=6)


def _count(data: bytes) -> int:
    return sum(1 for line in data.split(b"\n") if line.strip())


def _check_end(file: IO[bytes]) -> None:
    """Refuse what is no plain zip, before a directory of millions of files is read."""
    size = file.seek(0, 2)
    if size > MOST_PACKED:
        raise PackInvalid(
            gettext_noop("The pack has {size} bytes; {most} are the most."),
            size=size, most=MOST_PACKED,
        )  # fmt: skip
    if size < END.size:
        raise PackInvalid(
            gettext_noop("The file is no data pack: it is too short. Export it again.")
        )
    file.seek(size - END.size)
    sign, _disk, _start, _here, count, length, offset, comment = END.unpack(file.read(END.size))
    if sign != b"PK\5\6" or comment or offset + length + END.size != size:
        raise PackInvalid(
            gettext_noop("The file is no data pack, or was changed: export it again.")
        )
    if count > MOST_FILES + 2 or length > MOST_DIRECTORY:
        raise PackInvalid(
            gettext_noop("The pack holds {count} files; {most} with rows are the most."),
            count=count, most=MOST_FILES,
        )  # fmt: skip


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """What is in the zip by name, each of a kind that a pack has, and once."""
    found: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in archive.infolist():
        name, mode = info.orig_filename, info.external_attr >> 16
        if name not in (MANIFEST, SIGNATURE) and not ROWS.fullmatch(name):
            raise PackInvalid(
                gettext_noop("The pack holds a file {name!r}, which belongs in no pack."),
                name=name[:100],
            )
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise PackInvalid(
                gettext_noop("{name} is no plain file but a link or a folder."), name=name
            )
        if name in found:
            raise PackInvalid(gettext_noop("{name} is in the pack twice."), name=name)
        if info.flag_bits & 1 or info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise PackInvalid(
                gettext_noop("{name} is encrypted or packed in a way that packs do not use."),
                name=name,
            )
        most = MOST_ROWS if ROWS.fullmatch(name) else MOST_MANIFEST
        if info.file_size > most:
            raise PackInvalid(
                gettext_noop("{name} has {size} bytes; {most} are the most."),
                name=name, size=info.file_size, most=most,
            )  # fmt: skip
        if info.file_size > MEBIBYTE and info.file_size > MOST_RATIO * info.compress_size:
            raise PackInvalid(
                gettext_noop("{name} unpacks to more than {most} times its size."),
                name=name, most=MOST_RATIO,
            )  # fmt: skip
        total += info.file_size
        found[name] = info
    if total > MOST_ROWS:
        raise PackInvalid(
            gettext_noop("The pack unpacks to {size} bytes; {most} are the most."),
            size=total, most=MOST_ROWS,
        )  # fmt: skip
    for name in (MANIFEST, SIGNATURE):
        if name not in found:
            raise PackInvalid(
                gettext_noop("{name} is missing: every pack of a portal is signed."), name=name
            )
    return found


def _json(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[bytes, dict[str, Any]]:
    """A JSON object in its one canonical form: two readers never see two meanings."""
    name = info.filename
    try:
        data = archive.read(info)
        found = json.loads(data)
        same = checksums.canonical(found) == data
    except (ValueError, TypeError, RecursionError) as error:
        raise PackInvalid(
            gettext_noop("{name} cannot be read: {error}. Export again."),
            name=name, error=str(error)[:200],
        ) from error  # fmt: skip
    if not same or not isinstance(found, dict):
        raise PackInvalid(
            gettext_noop("{name} is not written as portals write it. Export the pack again."),
            name=name,
        )
    return data, found


def _manifest(
    archive: zipfile.ZipFile, infos: Mapping[str, zipfile.ZipInfo]
) -> tuple[dict[str, Any], bytes]:
    """The manifest and the key that signed it; whatever was changed since is refused here."""
    data, manifest = _json(archive, infos[MANIFEST])
    _data, signature = _json(archive, infos[SIGNATURE])
    if signature.get("algorithm") != "Ed25519":
        said = str(signature.get("algorithm"))[:40]
        raise PackInvalid(
            gettext_noop("{name}: algorithm is {said!r}; this version reads Ed25519."),
            name=SIGNATURE, said=said,
        )  # fmt: skip
    signer = public_key(str(signature.get("public_key")))
    try:
        signed = base64.b64decode(str(signature.get("signature")), validate=True)
        Ed25519PublicKey.from_public_bytes(signer).verify(signed, SIGNED + data)
    except (InvalidSignature, ValueError):
        raise PackInvalid(
            gettext_noop(
                "The signature does not belong to {name}: the pack was changed. "
                "Do not use it; fetch it again from where it was made."
            ),
            name=MANIFEST,
        ) from None
    return manifest, signer


def _described(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The files of a manifest by checksum, once its fields are what they must be."""
    if checksums.canonical(manifest.get("format")) != checksums.canonical(FORMAT):
        said = str(manifest.get("format"))[:40]
        raise PackInvalid(
            gettext_noop("The pack has format {said}; this version reads {known}. Upgrade."),
            said=said, known=FORMAT,
        )  # fmt: skip
    suite, files, made = (manifest.get(name) for name in ("suite", "files", "made"))
    if not isinstance(made, dict) or not all(isinstance(text, str) for text in made.values()):
        raise PackInvalid(gettext_noop("{name}: made is not a mapping of texts."), name=MANIFEST)
    if set(made) != set(Made.__dataclass_fields__):
        raise PackInvalid(gettext_noop("{name}: made needs at, by and portal."), name=MANIFEST)
    if not isinstance(files, dict) or not all(isinstance(each, dict) for each in files.values()):
        raise PackInvalid(
            gettext_noop("{name}: files is not a mapping of mappings."), name=MANIFEST
        )
    try:
        computed = checksums.of_suite(suite)  # type: ignore[arg-type]
        asked = _asked(suite)  # type: ignore[arg-type]
    except (KeyError, TypeError, AttributeError) as error:
        raise PackInvalid(
            gettext_noop("{name}: the suite is not complete ({error})."),
            name=MANIFEST, error=error,
        ) from error  # fmt: skip
    if computed != manifest.get("sha256"):
        raise PackInvalid(
            gettext_noop(
                "{name}: sha256 is not the checksum of the suite, {computed}. "
                "Perhaps a newer version of the portal made the pack: upgrade this one."
            ),
            name=MANIFEST,
            computed=computed,
        )
    if asked != set(files):
        raise PackInvalid(
            gettext_noop("{name}: files are not those that the benchmarks ask for."),
            name=MANIFEST,
        )
    return files


def _check_rows(
    archive: zipfile.ZipFile, infos: Mapping[str, zipfile.ZipInfo], files: Mapping[str, Any]
) -> None:
    """Refuse rows that are not those of the manifest."""
    there = {match[1] for name in infos if (match := ROWS.fullmatch(name))}
    for name in sorted(there ^ set(files)):
        said = gettext_noop("{name} is missing. Export the pack again.")
        if name in there:
            said = gettext_noop("{name} is not in the manifest. Export the pack again.")
        raise PackInvalid(said, name=path_of(name))
    for name in sorted(there):
        digest, size, count, filled = hashlib.sha256(), 0, 0, False
        with archive.open(infos[path_of(name)]) as data:
            while chunk := data.read(MEBIBYTE):
                digest.update(chunk)
                size += len(chunk)
                first, *others = chunk.split(b"\n")
                filled |= bool(first.strip())
                for line in others:
                    count += filled
                    filled = bool(line.strip())
        found = {"rows": count + filled, "bytes": size}
        if digest.hexdigest() != name or found != files[name]:
            raise PackInvalid(
                gettext_noop(
                    "{name} is not what was signed: its rows were changed. "
                    "Do not use the pack; fetch it again from where it was made."
                ),
                name=path_of(name),
            )
