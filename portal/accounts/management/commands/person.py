"""``manage.py person``: make people and help those who cannot sign in, from a shell."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.accounts import people
from portal.accounts.models import Project, Role, User


class Command(BaseCommand):
    help = "Add a person to a project, or give one a new password. Shown once, kept as a hash."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="a new person with a random password")
        add.add_argument("name")
        add.add_argument("--role", choices=Role.values, default=Role.VIEWER)
        add.add_argument("--project", help="name of the project; the first one if left out")
        add.add_argument("--email", default="")
        password = verbs.add_parser("password", help="a new random password; sessions end")
        password.add_argument("name")

    def handle(self, *args: Any, verb: str, name: str, **options: Any) -> None:
        person = User.objects.filter(username__iexact=name).first()
        if verb == "add":
            if person:
                raise CommandError(f"There is a person called {person.get_username()} already.")
            project = self._project(options["project"])
            password = people.create(name, project, options["role"], email=options["email"])
        elif not person:
            raise CommandError(f"There is no person called {name}.")
        else:
            name, password = person.get_username(), people.reset_password(person)
        self.stdout.write(f"Name: {name}\nPassword: {password}")

    def _project(self, name: str | None) -> Project:
        if not name:
            return people.default_project()
        project = Project.objects.filter(name=name).first()
        if not project:
            raise CommandError(f"There is no project called {name}.")
        return project
