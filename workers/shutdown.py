"""Tell the pool processes of a worker that the worker is going down."""

from __future__ import annotations

import mmap
import os
import threading
import time

# An anonymous shared page: made before the pool forks, so one byte written by the
# main process is seen by every child at once, without a file or a database.
_page = mmap.mmap(-1, 1)


def announce() -> None:
    _page[0] = 1


def announced() -> bool:
    return _page[0] == 1


def die_with_parent() -> None:
    """End this pool process when its worker is gone.

    A worker killed by force cannot stop a busy child, which would go on without
    anybody to answer to. The parent death signal of Linux would not do: it
    follows the *thread* that forked, and pools fork from threads that end early.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="die-with-parent", daemon=True).start()
