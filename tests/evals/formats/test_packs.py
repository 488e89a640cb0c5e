"""A data pack gives back what was put in, and nothing that somebody else has made of it."""

from __future__ import annotations

import base64
import io
import json
import stat
import zipfile
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from evals import checksums
from evals.formats import packs
from evals.formats.packs import MANIFEST, SIGNATURE, PackInvalid
from tests.evals.packing import (
    MADE,
    ROWS,
    SECRET,
    altered,
    entry,
    members,
    packed,
    sha256,
    signed,
    zipped,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LINES = st.lists(st.dictionaries(TEXT, TEXT | st.integers(), max_size=3), max_size=6).map(
    lambda rows: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
)


def read(data: bytes) -> packs.Pack:
    return packs.read(io.BytesIO(data))


def refusal(data: bytes) -> str:
    with pytest.raises(PackInvalid) as refused:
        read(data)
    return str(refused.value)


@given(text=LINES, name=TEXT.filter(bool), licence=TEXT)
@settings(max_examples=60, deadline=None)
def test_what_goes_in_comes_out(text: str, name: str, licence: str) -> None:
    pack = read(packed(text, name=name, licence=licence))
    assert pack.entry == entry(text, name=name, licence=licence)
    assert pack.sha256 == checksums.of_suite(pack.entry)
    assert dict(pack.rows) == {sha256(text): text} and pack.made == MADE
    assert pack.files[sha256(text)]["rows"] == sum(bool(line.strip()) for line in text.split("\n"))
    assert pack.signer == SECRET.public_key().public_bytes_raw()


def test_the_same_content_is_the_same_file() -> None:
    assert packed() == packed()


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_a_turned_bit_is_noticed_or_changes_nothing(where: float, bit: int) -> None:
    data = bytearray(packed())
    data[int(where * len(data))] ^= 1 << bit
    try:
        pack = read(bytes(data))
    except PackInvalid:
        return
    assert (pack.entry, dict(pack.rows)) == (entry(), {sha256(ROWS): ROWS})


@given(data=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_other_file_is_refused_in_words(data: bytes) -> None:
    assert refusal(data) and refusal(data + zipped({"a": data}))


def test_a_row_that_was_changed_is_refused() -> None:
    content = members(packed())
    path = packs.path_of(sha256(ROWS))
    content[path] = content[path].replace(b"No 1", b"No 2")
    assert "rows were changed" in refusal(zipped(content))


def test_a_manifest_that_was_changed_is_refused() -> None:
    content = members(packed())
    content[MANIFEST] = content[MANIFEST].replace(b"Small suite", b"Other suite")
    assert "the pack was changed" in refusal(zipped(content))


def test_a_changed_row_with_a_manifest_to_match_needs_the_key() -> None:
    forged = members(packed(ROWS.replace("No 1", "No 2")))
    forged[SIGNATURE] = members(packed())[SIGNATURE]
    assert "the pack was changed" in refusal(zipped(forged))


def test_who_signs_anew_is_another_signer() -> None:
    other = Ed25519PrivateKey.generate()
    pack = read(zipped(signed(members(packed()), other)))
    assert pack.signer == other.public_key().public_bytes_raw() != read(packed()).signer


@pytest.mark.parametrize("signature", ["", "AAAA", "Ä", base64.b64encode(bytes(64)).decode(), None])
def test_a_wrong_signature_is_refused(signature: str | None) -> None:
    content = members(packed())
    said = json.loads(content[SIGNATURE]) | {"signature": signature}
    assert "the pack was changed" in refusal(
        zipped(content | {SIGNATURE: checksums.canonical(said)})
    )


@pytest.mark.parametrize(
    "change", [{"algorithm": "none"}, {"public_key": ""}, {"public_key": "\ud800"}]
)
def test_odd_fields_of_a_signature_are_refused(change: dict[str, str]) -> None:
    content = members(packed())
    said = json.loads(content[SIGNATURE]) | change
    assert refusal(zipped(content | {SIGNATURE: checksums.canonical(said)}))


def test_a_pack_without_a_signature_is_refused() -> None:
    content = members(packed())
    del content[SIGNATURE]
    assert "every pack of a portal is signed" in refusal(zipped(content))


@pytest.mark.parametrize(
    "name",
    ["../../etc/cron.d/x", "/etc/passwd", "rows/../x.jsonl", "rows\\x.jsonl", "Manifest.json",
     "rows/", "rows/" + "A" * 64 + ".jsonl", "ro\u202ews.jsonl", "é.jsonl"],
)  # fmt: skip
def test_a_file_that_belongs_in_no_pack_is_refused(name: str) -> None:
    data = zipped(members(packed()) | {name: b"x"})
    assert "belongs in no pack" in refusal(data) or "damaged" in refusal(data)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO])
def test_links_and_folders_are_refused(kind: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo(MANIFEST)
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert "no plain file" in refusal(out.getvalue())


def test_a_file_that_is_there_twice_is_refused() -> None:
    out = io.BytesIO(packed())
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(out, "a") as archive,
    ):
        archive.writestr(MANIFEST, members(packed())[MANIFEST])
    assert "twice" in refusal(out.getvalue())


def test_a_name_that_is_cut_at_nul_is_refused() -> None:
    data = zipped(members(packed()) | {"manifest.json#": b"x"})
    assert "manifest.json\\x00" in refusal(data.replace(b"manifest.json#", b"manifest.json\0"))


def test_a_bomb_is_refused_before_it_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped(members(packed()) | {packs.path_of("0" * 64): bytes(8 * packs.MEBIBYTE)})
    monkeypatch.setattr(zipfile.ZipFile, "open", None)  # nothing may be unpacked
    assert "unpacks to more than 300 times" in refusal(data)


def test_a_file_that_lies_about_its_size_is_refused() -> None:
    data = packed()
    info = zipfile.ZipFile(io.BytesIO(data)).getinfo(packs.path_of(sha256(ROWS)))
    size = info.file_size.to_bytes(4, "little")
    assert data.count(size) == 2  # before the file and in the directory
    assert refusal(data.replace(size, (info.file_size - 9).to_bytes(4, "little")))


def test_more_files_than_a_pack_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "MOST_FILES", 3)
    more = {packs.path_of(f"{number:064}"): b"" for number in range(4)}
    assert "3 with rows are the most" in refusal(zipped(members(packed()) | more))


def test_a_directory_of_a_million_files_is_never_read() -> None:
    data = bytearray(packed())
    end = len(data) - packs.END.size
    data[end + 12 : end + 16] = (end).to_bytes(4, "little")
    data[end + 16 : end + 20] = bytes(4)
    data = bytes(packs.MOST_DIRECTORY) + data  # as if the directory filled the whole file
    assert refusal(data)


def test_nothing_stands_before_or_behind_a_pack() -> None:
    assert "was changed" in refusal(b"MZ" + packed())
    assert "was changed" in refusal(packed() + b"\0")


@pytest.mark.parametrize("text", ["[" * 100_000, "{}{}", '{"a":1,"a":2}', "1" * 10_000, "\xff"])
def test_a_manifest_that_is_no_plain_json_is_refused(text: str) -> None:
    content = signed(members(packed()) | {MANIFEST: text.encode("latin-1")})
    assert refusal(zipped(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.update(format=2),
        lambda found: found.update(format=True),
        lambda found: found.update(made=[]),
        lambda found: found.update(made={"at": 1}),
        lambda found: found.update(files=[]),
        lambda found: found.update(files={}),
        lambda found: found["files"].update({"0" * 64: {}}),
        lambda found: found.update(suite=None),
        lambda found: found["suite"].pop("slug"),
        lambda found: found["suite"].update(benchmarks=["one"]),
        lambda found: found["suite"].update(benchmarks=3),
        lambda found: found["suite"]["benchmarks"][0].update(questions=["a"]),
        lambda found: found["suite"]["benchmarks"][0].update(examples="f" * 64),
        lambda found: found.update(sha256="0" * 64),
        lambda found: found["files"][sha256(ROWS)].update(rows=7),
        lambda found: found["files"][sha256(ROWS)].update(rows=True),
    ],
)
def test_a_signed_manifest_that_does_not_fit_is_refused(change: Any) -> None:
    assert refusal(altered(change))


def test_a_fingerprint_is_short_and_of_this_key_alone() -> None:
    one, other = (packs.fingerprint(bytes([number] * 32)) for number in (1, 2))
    assert one != other and len(one) == 39


@pytest.mark.parametrize("text", ["", "AAAA", "no key", "Ä" * 44, "A" * 43 + "=" * 3])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(PackInvalid, match="44"):
        packs.public_key(text)
