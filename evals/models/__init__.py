from evals.models.boards import SavedBoard
from evals.models.candidates import Candidate, Endpoint, Price, Pricing, Probe, Replica
from evals.models.euroeval import EuroEvalRun
from evals.models.imports import ExternalResult, Import, ImportedColumn, ImportedFile
from evals.models.leaderboard import Standing
from evals.models.packs import PackKey, TrustedKey, WaitingPack
from evals.models.playground import KeptQuestion
from evals.models.runs import Part, Run, Sample, Score
from evals.models.schedules import Firing, Schedule, ScheduledModel
from evals.models.suites import Benchmark, QuestionSet, Suite

__all__ = [
    "Benchmark",
    "Candidate",
    "Endpoint",
    "EuroEvalRun",
    "ExternalResult",
    "Firing",
    "Import",
    "ImportedColumn",
    "ImportedFile",
    "KeptQuestion",
    "PackKey",
    "Part",
    "Price",
    "Pricing",
    "Probe",
    "QuestionSet",
    "Replica",
    "Run",
    "Sample",
    "SavedBoard",
    "Schedule",
    "ScheduledModel",
    "Score",
    "Standing",
    "Suite",
    "TrustedKey",
    "WaitingPack",
]
