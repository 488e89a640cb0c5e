"""Let the real EuroEval measure a candidate: its own environment, one process a data set.

EuroEval asks the server by itself and loads its data sets from the hub, so none of our rules
for connections bind it: an operator switches it on with PORTAL_EUROEVAL. Its numbers are
imported as what others measured and never stand among our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext, gettext_noop

from evals import candidates, imports
from evals.models import Candidate, EuroEvalRun
from evals.storable import clean
from portal.accounts import audit
from portal.accounts.models import User
from portal.outbound import OutboundRefused
from workers import jobs
from workers.processes import LEASH
from workers.progress import JobError, Progress, alongside

RESULTS = "euroeval_benchmark_results.jsonl"  # EuroEval writes it where it is started
MOST_DATASETS = 50
LOG_LINES, LOG_CHARACTERS = 200, 20_000
LINE_BYTES = 64 * 1024
LOG_SECONDS = 2.0  # between writes of the log while it grows
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What a child may see of this process's environment; keys and passwords of the portal stay here.
PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "HF_HOME", "HF_ENDPOINT", "HF_TOKEN",
    "HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "no_proxy",
)  # fmt: skip
# Kept in English with the job and shown in the reader's language; see `told` in portal.ui.
SWITCHED_OFF = gettext_noop("EuroEval is not set up here. Set PORTAL_EUROEVAL to its program.")
CHANGED = gettext_noop("The endpoint changed since this was started. Start it anew.")
NO_RESULT = gettext_noop("EuroEval gave no result for these data sets. Its log says why.")


class EuroEvalRefused(ValueError):
    """Nothing was started; the text says why and what to do."""


def available() -> bool:
    """Whether an operator has named the program."""
    return bool(settings.EUROEVAL)


def names(text: str) -> list[str]:
    """The data sets in ``text``, apart by commas or blanks. Raises EuroEvalRefused."""
    found = list(dict.fromkeys(text.replace(",", " ").split()))
    for name in found:
        if not NAME.fullmatch(name):
            raise EuroEvalRefused(
                gettext("“%(name)s” is no name of a data set: small letters, digits and hyphens.")
                % {"name": name[:80]}
            )
    if not 1 <= len(found) <= MOST_DATASETS:
        raise EuroEvalRefused(
            gettext("Name 1 to %(most)s data sets; these are %(count)s.")
            % {"most": MOST_DATASETS, "count": len(found)}
        )
    return found


@transaction.atomic
def start(
    candidate: Candidate,
    datasets: Sequence[str],
    *,
    test_split: bool = True,
    by: User | None = None,
) -> EuroEvalRun:
    """Queue EuroEval over ``datasets``. Raises EuroEvalRefused where it is not set up."""
    if not available():
        raise EuroEvalRefused(gettext(SWITCHED_OFF))
    run = EuroEvalRun(
        candidate=candidate,
        endpoint_revision=candidate.endpoint.revision,
        datasets=names(" ".join(datasets)),
        test_split=test_split,
        total=len(datasets),
        created_by=by,
    )
    jobs.enqueue(run)
    audit.record(candidate.project, "euroeval.start", candidate, by=by, datasets=run.datasets)
    return run


def execute(run: EuroEvalRun, progress: Progress) -> None:
    """Measure what is not measured yet; each result is kept as soon as its process ends."""
    if not available():
        raise JobError(SWITCHED_OFF)
    endpoint = run.candidate.endpoint
    if endpoint.revision != run.endpoint_revision:
        raise JobError(CHANGED)
    spec = candidates.spec(endpoint)
    try:
        spec.policy.check_url(spec.base_url)
    except OutboundRefused as error:
        raise JobError(str(error)) from error
    progress.begin(total=len(run.datasets), done=len(run.measured))
    run.failed = []
    for name in [name for name in run.datasets if name not in run.measured]:
        settings.DATA_DIR.joinpath("euroeval").mkdir(mode=0o700, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{run.pk}-", dir=settings.DATA_DIR / "euroeval"))
        try:
            _measure(run, command(spec.base_url, spec.model, name, run.test_split), folder,
                     environment(spec.api_key), progress)  # fmt: skip
            _keep(run, name, folder / RESULTS, progress)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if run.failed:
        raise JobError(f"{NO_RESULT}\n{', '.join(run.failed)}")


def command(base_url: str, model: str, dataset: str, test_split: bool) -> list[str]:
    """The command line of EuroEval 16.x; the key goes by the environment, not by arguments."""
    split = "--evaluate-test-split" if test_split else "--evaluate-val-split"
    return [
        settings.EUROEVAL,
        *("--model", model, "--api-base", base_url, "--dataset", dataset),
        *(split, "--no-progress-bar", "--raise-errors"),
        *("--cache-dir", str(settings.DATA_DIR / "euroeval" / "cache")),
    ]


def environment(api_key: str) -> dict[str, str]:
    """What the child sees: no secret but the endpoint's own key, and no calls home to makers."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {
        "HOME": str(settings.DATA_DIR / "euroeval"),
        "OPENAI_API_KEY": api_key or "none",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


@async_to_sync
async def _measure(
    run: EuroEvalRun,
    arguments: list[str],
    folder: Path,
    variables: dict[str, str],
    progress: Progress,
) -> None:
    await alongside(_follow(run, arguments, folder, variables), progress)


async def _follow(
    run: EuroEvalRun, arguments: list[str], folder: Path, variables: dict[str, str]
) -> None:
    """Run the process to its end and keep the end of what it writes."""
    secret = variables["OPENAI_API_KEY"]
    tail = deque(run.log.splitlines(), maxlen=LOG_LINES)
    told = 0.0
    async with contextlib.aclosing(lines(arguments, folder, variables)) as written:
        async for line in written:
            line = CODES.sub("", line).replace(secret, "…") if line else ""
            tail.append(clean(line)[:1000])
            now = asyncio.get_running_loop().time()
            if now - told >= LOG_SECONDS:
                told = now
                await sync_to_async(_write_log)(run, tail)
    await sync_to_async(_write_log)(run, tail)


async def lines(
    arguments: list[str], folder: Path, variables: dict[str, str]
) -> AsyncIterator[str]:
    """What ``arguments`` write, line by line; the whole process group ends with the iteration.

    It runs on a leash: when this worker is killed, the pipe closes and the group ends too.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(LEASH), *arguments,
        cwd=folder, env=variables, start_new_session=True, limit=LINE_BYTES,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout
    try:
        while chunk := await _line(process.stdout):
            yield chunk.decode("utf-8", "replace").rstrip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line, or a part of one that is longer than the buffer."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.readexactly(error.consumed)


def _write_log(run: EuroEvalRun, tail: deque[str]) -> None:
    run.log = "\n".join(tail)[-LOG_CHARACTERS:]
    EuroEvalRun.objects.filter(pk=run.pk).update(log=run.log)


def _keep(run: EuroEvalRun, name: str, file: Path, progress: Progress) -> None:
    """Import what the process left, in one transaction with the mark that it is done."""
    with transaction.atomic():
        progress.fence()
        found = _imported(run, name, file)
        (run.measured if found else run.failed).append(name)
        run.save(update_fields=["measured", "failed"])
    progress.advance(done=1 if found else 0, errors=0 if found else 1)
    progress.beat(force=True)


def _imported(run: EuroEvalRun, name: str, file: Path) -> bool:
    try:
        files = [imports.File(f"{name}.jsonl", file.read_bytes())]
        found = imports.receive(run.project, files, by=run.created_by)
        if not found.confirmed_at:
            found = imports.confirm(found, source=run.title, by=run.created_by)
    except (OSError, imports.ImportRefused) as error:
        _write_log(run, deque([*run.log.splitlines(), f"{name}: {error}"], maxlen=LOG_LINES))
        return False
    run.imports.add(found)
    return True
