from tests.evals.conftest import quick_passwords, running_stub, stub

__all__ = ["quick_passwords", "running_stub", "stub"]
