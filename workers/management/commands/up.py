"""``manage.py up``: the portal with its worker, in one foreground command."""

from __future__ import annotations

import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from portal.accounts import people
from workers import processes
from workers.supervisor import Supervisor, SupervisorError

PASSWORD_HINT = "Password forgotten? A new one: manage.py person password admin"


class Command(BaseCommand):
    help = "Run the portal: web, worker and beat in the foreground. Ctrl-C stops all of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--workers", type=int, default=settings.WORKER_PROCESSES, help="jobs at a time"
        )

    def handle(self, *args: Any, host: str, port: int, workers: int, **options: Any) -> None:
        if not processes.port_is_free(host, port):
            raise CommandError(
                f"Port {port} of {host} is taken or not ours to use. "
                f"Stop what listens there, or choose another: manage.py up --port {port + 1}"
            )
        prepare()
        if password := first_admin():
            self.stdout.write(f"First person made: admin, password {password} (shown once)")
            self.stdout.flush()  # into a file or a pipe, too, before anything can go wrong
        with Supervisor() as supervisor:
            add_portal(supervisor, host, port, workers)
            try:
                supervisor.start()
            except SupervisorError as error:
                raise CommandError(str(error)) from None
            self.stdout.write(f"Prüfstand runs at http://{shown(host)}:{port}/ · Ctrl-C stops it")
            self.stdout.write(PASSWORD_HINT)
            supervisor.wait()


def prepare() -> None:
    """Bring the database and the static files up to date; quick when they are."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def first_admin() -> str | None:
    """Make the first person of an empty portal and return the password; None when people exist."""
    if get_user_model().objects.exists():
        return None
    return people.create_admin(username="admin")


def add_portal(supervisor: Supervisor, host: str, port: int, workers: int) -> None:
    """Add web, worker and beat, with the settings of this process."""
    add_web(supervisor, host, port)
    add_workers(supervisor, workers)


def add_web(supervisor: Supervisor, host: str, port: int) -> None:
    supervisor.add("web", processes.web(host, port), ready=lambda: processes.answers(host, port))


def add_workers(supervisor: Supervisor, workers: int) -> None:
    """Also while the supervisor runs: it starts what is added."""
    supervisor.add("worker", processes.worker(workers))
    supervisor.add("beat", processes.beat(settings.DATA_DIR / "beat" / "schedule"))


def shown(host: str) -> str:
    """The name under which people reach ``host``."""
    return socket.getfqdn() if host in {"0.0.0.0", "::"} else host
