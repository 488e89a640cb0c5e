"""What scripts can do with models, suites, runs and results; mounted by the portal."""

from ninja import Router

from evals.api import (
    boards,
    candidates,
    imports,
    leaderboard,
    packs,
    runs,
    samples,
    schedules,
    suites,
)

router = Router()
router.add_router("", candidates.router)
router.add_router("", suites.router)
router.add_router("", packs.router)
router.add_router("", runs.router)
router.add_router("", samples.router)
router.add_router("", schedules.router)
router.add_router("", leaderboard.router)
router.add_router("", boards.router)
router.add_router("", imports.router)

__all__ = ["router"]
