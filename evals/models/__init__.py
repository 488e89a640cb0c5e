from evals.models.candidates import Candidate, Endpoint, Probe
from evals.models.leaderboard import Standing
from evals.models.runs import Part, Run, Sample, Score
from evals.models.suites import Benchmark, QuestionSet, Suite

__all__ = [
    "Benchmark",
    "Candidate",
    "Endpoint",
    "Part",
    "Probe",
    "QuestionSet",
    "Run",
    "Sample",
    "Score",
    "Standing",
    "Suite",
]
