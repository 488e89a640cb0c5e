"""``manage.py pack``: suites as signed files, for machines without network."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from evals import licences, packs, suites
from evals.formats import packs as files
from evals.management.commands.evaluate import chosen, ready, wanted
from evals.models import Suite, TrustedKey
from portal.accounts.models import Project
from portal.secrets import SecretUnreadable


class Command(BaseCommand):
    help = "Write a suite with its questions into one signed file, and read such a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        export = verbs.add_parser("export", help="write a suite into a pack")
        export.add_argument("suite", help="slug of a suite, such as demo")
        export.add_argument("file", type=Path)
        export.add_argument("--version", dest="number", type=int, help="the newest if left out")
        take = verbs.add_parser("import", help="bring the suite of a pack into a project")
        take.add_argument("file", type=Path)
        take.add_argument(
            "--fingerprint", default="",
            help="of an unknown signer, as the sender told it: accepts this one pack",
        )  # fmt: skip
        show = verbs.add_parser("show", help="tell what a pack holds and who signed it")
        show.add_argument("file", type=Path)
        keys = verbs.add_parser("keys", help="show the key of this installation and those trusted")
        change = keys.add_mutually_exclusive_group()
        change.add_argument("--trust", nargs=2, metavar=("NAME", "KEY"), help="take its packs")
        change.add_argument("--distrust", metavar="NAME", help="take its packs no longer")
        change.add_argument("--new", action="store_true", help="replace the key of this one")
        for each in (export, take, show, keys):
            each.add_argument("--project", help="name; not needed where there is one")

    def handle(self, *args: Any, verb: str, project: str | None, **options: Any) -> None:
        ready()
        try:
            getattr(self, f"_{verb}")(chosen(project), options)
        except (packs.PackInvalid, suites.SuiteInvalid) as error:
            raise CommandError(str(error)) from error
        except SecretUnreadable as error:
            hint = "Or make a new signing key: manage.py pack keys --new"
            raise CommandError(f"{error} {hint}") from error

    def _export(self, project: Project, options: dict[str, Any]) -> None:
        suite, path = wanted(project, options["suite"]), options["file"]
        if number := options["number"]:
            versions = Suite.objects.in_project(project).filter(slug=suite.slug)
            suite = versions.filter(version=number).first()
            if suite is None:
                there = ", ".join(str(each.version) for each in versions)
                raise CommandError(f"There is no version {number}. There are: {there}")
        if path.exists():
            raise CommandError(f"{path} exists already. Choose another name.")
        for found in licences.concerns(suites.describe(suite)):
            self.stderr.write(f"Before you pass it on: {found}")
        draft = path.with_name(f".{path.name}.part")
        try:
            with draft.open("xb") as out:
                packs.export(suite, out)
            draft.rename(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}.") from error
        finally:
            draft.unlink(missing_ok=True)
        self.stdout.write(f"{suite} in {path}, {path.stat().st_size} bytes")
        self.stdout.write(f"Checksum: {suite.sha256}")
        self.stdout.write(f"Signed by: {packs.own_key().fingerprint}")

    def _import(self, project: Project, options: dict[str, Any]) -> None:
        with opened(options["file"]) as pack:
            suite = packs.install(project, pack, accepted=options["fingerprint"])
        self.stdout.write(f"{suite} is in {project}.\nChecksum: {suite.sha256}")

    def _show(self, project: Project, options: dict[str, Any]) -> None:
        with opened(options["file"]) as pack:
            entry, signer = pack.entry, packs.signer(project, pack)
            who = (signer.name or "this installation") if signer.known else "not known here"
            self.stdout.write(f"{entry['name']} v{entry['version']} ({entry['slug']})")
            self.stdout.write(f"Licence: {entry['licence'] or 'not stated'}")
            self.stdout.write(f"Checksum: {pack.sha256}")
            self.stdout.write(f"Made: {pack.made.at}, portal {pack.made.portal}")
            self.stdout.write(f"Signed by: {signer.fingerprint} ({who})")
            for item in packs.benchmarks(pack):
                source = item["source"] or {}
                told = " ".join(str(source[name]) for name in sorted(source))  # type: ignore[index]
                line = f"  {item['name']}: {item['language']}, {item['count']} questions  {told}"
                self.stdout.write(line.rstrip())
            found = packs.differences(project, pack)
        if found:
            self.stdout.write(told_difference(found))

    def _keys(self, project: Project, options: dict[str, Any]) -> None:
        if options["new"]:
            packs.renew_key()
        elif options["trust"]:
            packs.trust(project, *options["trust"])
        elif name := options["distrust"]:
            named = TrustedKey.objects.filter(project=project, name=name)
            if not named:
                raise CommandError(f"No key called {name!r} is trusted in {project}.")
            for key in named:
                packs.distrust(key)
        own = packs.own_key()
        self.stdout.write("This installation")
        self.stdout.write(f"  Public key:  {own.public_key}\n  Fingerprint: {own.fingerprint}")
        for key in project.trusted_keys.all():
            self.stdout.write(f"{key.name}, trusted in {project}")
            self.stdout.write(f"  Public key:  {key.public_key}\n  Fingerprint: {key.fingerprint}")


@contextmanager
def opened(path: Path) -> Iterator[files.Pack]:
    try:
        with path.open("rb") as file:
            yield packs.read(file)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or error}.") from error


def told_difference(found: packs.Difference) -> str:
    if found.same:
        return f"The same as {found.suite}, which is installed."
    parts = {"new": found.added, "missing": found.removed, "changed": found.changed}
    lines = [f"  {word}: {', '.join(names)}" for word, names in parts.items() if names]
    return "\n".join([f"Beside {found.suite}, which is installed:", *lines])
