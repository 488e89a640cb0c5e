"""Write a suite into a signed data pack, and bring the suite of a pack into a project."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import IO, Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction
from django.utils import timezone

from evals import suites
from evals.formats import packs as files
from evals.formats.packs import Made, Pack, PackInvalid, fingerprint
from evals.models import PackKey, QuestionSet, Suite, TrustedKey, WaitingPack
from evals.sentences import gettext_noop
from portal import secrets
from portal.accounts import audit
from portal.accounts.models import Project, User
from portal.api.bodies import MAX_FILE
from portal.version import version

MOST_UPLOADED = MAX_FILE  # by page or API, which check a pack while somebody waits
WAITS = timedelta(days=1)
ORIGIN = gettext_noop("The suite of the pack")
UNKNOWN_SIGNER = gettext_noop(
    "The pack is signed by a key that is not known here: {fingerprint}. Ask the sender for the "
    "fingerprint by another way; an administrator can then trust the key or accept this one pack."
)
OTHER_FINGERPRINT = gettext_noop(
    "The pack is signed by a key that is not known here: {fingerprint}. The fingerprint you gave "
    "is another. Ask the sender for the fingerprint by another way; an administrator can then "
    "trust the key or accept this one pack."
)


class UnknownSigner(PackInvalid):
    """Nobody here has said that the key behind the pack's signature is believed."""


class Signer(NamedTuple):
    """Who signed a pack, as a project sees it. ``name`` is empty for this installation's own."""

    fingerprint: str
    public_key: str
    known: bool
    name: str = ""


class Difference(NamedTuple):
    """A pack beside an installed version of its suite; names of benchmarks."""

    suite: Suite
    same: bool
    added: list[str]
    removed: list[str]
    changed: list[str]


def own_key() -> PackKey:
    """The key of this installation, made on first use."""
    found = PackKey.objects.first()
    return found or PackKey.objects.get_or_create(only=True, defaults=_new_key())[0]


@transaction.atomic
def renew_key() -> PackKey:
    """A new key in place of the old: packs signed from now on are signed by it."""
    found, made = PackKey.objects.update_or_create(only=True, defaults=_new_key())
    audit.record(None, "pack_key.make", found, fingerprint=found.fingerprint, first=made)
    return found


def _new_key() -> dict[str, str]:
    secret = Ed25519PrivateKey.generate()
    return {
        "public_key": _text(secret.public_key().public_bytes_raw()),
        "secret_encrypted": secrets.encrypt(_text(secret.private_bytes_raw())),
    }


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


@transaction.atomic
def export(suite: Suite, out: IO[bytes], *, by: User | None = None) -> None:
    """Write ``suite`` with its rows to ``out``, signed. Raises SecretUnreadable."""
    secret = Ed25519PrivateKey.from_private_bytes(
        base64.b64decode(secrets.decrypt(own_key().secret_encrypted))
    )
    made = Made(
        at=timezone.now().isoformat(timespec="seconds"),
        by=by.get_username() if by else audit.COMMAND,
        portal=version(),
    )
    files.write(out, suites.describe(suite), _lines, made, secret)
    audit.record(suite.project, "pack.export", suite, by=by, sha256=suite.sha256)


def _lines(sha256: str) -> str:
    return QuestionSet.objects.values_list("lines", flat=True).get(sha256=sha256)


def file_name(suite: Suite) -> str:
    return f"{suite.slug}-v{suite.version}.pack.zip"


def read(file: IO[bytes]) -> Pack:
    """The pack in ``file``, its suite fit to be shown. Raises PackInvalid, SuiteInvalid.

    ``file`` must stay open as long as rows are read.
    """
    pack = files.read(file)
    suites.checked(_entry(pack), ORIGIN)
    return pack


def signer(project: Project, pack: Pack) -> Signer:
    """Who signed ``pack``, and whether ``project`` believes them."""
    public, short = _text(pack.signer), fingerprint(pack.signer)
    if own_key().public_key == public:
        return Signer(short, public, known=True)
    trusted = TrustedKey.objects.filter(project=project, public_key=public).first()
    return Signer(short, public, bool(trusted), trusted.name if trusted else "")


def install(project: Project, pack: Pack, *, by: User | None = None, accepted: str = "") -> Suite:
    """The suite of ``pack`` in ``project``; one that is there already is given back.

    ``accepted``: the fingerprint that somebody who may do so has compared with the sender's; it
    lets an unknown signer's pack in, this once. Raises UnknownSigner, SuiteInvalid.
    """
    found = signer(project, pack)
    if not found.known and _plain(accepted) != _plain(found.fingerprint):
        said = UNKNOWN_SIGNER if not accepted else OTHER_FINGERPRINT
        raise UnknownSigner(said, fingerprint=found.fingerprint)
    with transaction.atomic():
        suite = suites.add(project, _entry(pack), pack.rows, ORIGIN, by=by)
        audit.record(
            project, "pack.import", suite, by=by, sha256=suite.sha256,
            signer=found.fingerprint, known=found.known,
        )  # fmt: skip
    return suite


def _entry(pack: Pack) -> dict[str, Any]:
    """The suite of ``pack`` as its file would say it: without empty examples."""
    return pack.entry | {
        "benchmarks": [
            {name: value for name, value in item.items() if name != "examples" or value}
            for item in pack.entry["benchmarks"]
        ]
    }


def _plain(text: str) -> str:
    return "".join(text.split()).lower()


def differences(project: Project, pack: Pack) -> Difference | None:
    """``pack`` beside the same version of its suite, else its newest; None when there is none."""
    mine = Suite.objects.in_project(project).filter(slug=pack.entry["slug"])
    found = mine.filter(version=pack.entry["version"]).first() or mine.order_by("-version").first()
    if found is None:
        return None
    there = {item["name"]: item for item in suites.describe(found)["benchmarks"]}
    new = {item["name"]: item for item in pack.entry["benchmarks"]}
    return Difference(
        found,
        found.sha256 == pack.sha256,
        [name for name in new if name not in there],
        [name for name in there if name not in new],
        [name for name in new if name in there and _differ(new[name], there[name])],
    )


def _differ(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return any((one.get(name) or None) != (other[name] or None) for name in other)


@transaction.atomic
def trust(project: Project, name: str, key: str, *, by: User | None = None) -> TrustedKey:
    """From now on ``project`` takes packs signed by the public ``key``. Raises PackInvalid."""
    public = files.public_key(key)
    defaults = {"name": name, "added_by": by}
    found, made = TrustedKey.objects.get_or_create(
        project=project, public_key=_text(public), defaults=defaults
    )
    if made:
        audit.record(project, "pack_key.trust", found, by=by, fingerprint=found.fingerprint)
    return found


@transaction.atomic
def distrust(key: TrustedKey, *, by: User | None = None) -> None:
    """Packs of ``key`` are refused from now on; suites that came with them stay."""
    audit.record(key.project, "pack_key.distrust", key, by=by, fingerprint=key.fingerprint)
    key.delete()


def keep(project: Project, name: str, content: bytes, *, by: User | None = None) -> WaitingPack:
    """An uploaded pack until somebody decides, a day at most; one for each person."""
    waiting = WaitingPack.objects.filter(project=project)
    waiting.filter(created_at__lt=timezone.now() - WAITS).delete()
    waiting.filter(by=by).delete()
    return WaitingPack.objects.create(project=project, name=name, content=content, by=by)


def benchmarks(pack: Pack) -> Iterator[dict[str, object]]:
    """The benchmarks of ``pack``, each with the number of its questions."""
    for item in pack.entry["benchmarks"]:
        yield item | {"count": pack.files[item["questions"]]["rows"]}
