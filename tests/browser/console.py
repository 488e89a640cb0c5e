"""What the console of a page complains about."""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Page

# Answers with an error status are told here too, and are left to the tests themselves.
# Whoever leaves a page while htmx asks for the next state of it breaks that request off:
# htmx then logs two events, and neither means a fault.
EXPECTED = (
    "Failed to load resource",
    "Response Status Error Code",
    "htmx:sendAbort",
    "htmx:afterRequest",
)


def complaints_of(page: Page) -> list[str]:
    """A list that fills with errors and warnings while the page is used.

    That includes every breach of the content security policy.
    """
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(EXPECTED):
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints
