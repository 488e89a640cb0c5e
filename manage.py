#!/usr/bin/env python3
"""The one command of Prüfstand. It makes its own environment first (portal/bootstrap.py)."""

import os
import sys


def main() -> None:
    from portal import bootstrap

    bootstrap.enter(sys.argv)
    if sys.argv[1:2] == ["test"]:
        from tests.__main__ import main as run_tests

        sys.exit(run_tests(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    from django.core.management import execute_from_command_line

    from portal.environment import SettingError

    try:
        execute_from_command_line(sys.argv)
    except SettingError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
