from datetime import timedelta

from django.apps import AppConfig
from django.utils import timezone

A_DAY = timedelta(days=1)
KEPT_ATTEMPTS = timedelta(days=30)


class AccountsConfig(AppConfig):
    name = "portal.accounts"
    label = "accounts"

    def upkeep(self) -> None:
        """Throw away what has run out: sessions, answers kept for repeats, failed sign-ins."""
        from axes.models import AccessAttempt
        from django.core.management import call_command

        from portal.accounts.models import IdempotencyKey

        call_command("clearsessions")
        IdempotencyKey.objects.filter(created_at__lt=timezone.now() - A_DAY).delete()
        AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - KEPT_ATTEMPTS).delete()
