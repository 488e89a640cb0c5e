from __future__ import annotations

import time

from django.conf import settings
from django.db import transaction

from tests.workers.app.models import Errand, Stop
from workers.progress import JobError, Progress
from workers.tasks import job_task


@job_task("errands.run", "errands.Errand")
def run(errand: Errand, progress: Progress) -> None:
    if errand.mode == "refuse":
        raise JobError("The shop is closed.")
    if errand.mode == "break":
        raise ZeroDivisionError("secret detail")
    made = set(errand.stops.values_list("index", flat=True))
    progress.begin(total=errand.items, done=len(made))
    with (settings.DATA_DIR / f"asked-{errand.pk}").open("a", buffering=1) as asked:
        for index in sorted(set(range(errand.items)) - made):
            asked.write(f"{index}\n")
            for _ in range(max(1, round(errand.pause / 0.2))):
                time.sleep(min(errand.pause, 0.2))
                progress.beat()
            with transaction.atomic():
                progress.fence()
                Stop.objects.create(errand=errand, index=index)
            progress.advance(done=1)
