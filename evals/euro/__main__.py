"""``python -m evals.euro FOLDER [--preset open-llm-v1]``: write the task files for lm-eval."""

from __future__ import annotations

import argparse
from pathlib import Path

from evals.euro.tasks import PRESETS
from evals.euro.write import write

parser = argparse.ArgumentParser(prog="python -m evals.euro", description=write.__doc__)
parser.add_argument("folder", type=Path)
parser.add_argument("--preset", choices=PRESETS, default="open-llm-v1")
parser.add_argument("--mirror", type=Path, help="folder of data sets as owner/name")
arguments = parser.parse_args()
names = write(arguments.folder, arguments.preset, arguments.mirror)
print(f"{len(names)} tasks in {arguments.folder}")
