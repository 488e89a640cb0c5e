"""A client of the API with a key, as scripts use it."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from portal.accounts import keys
from portal.accounts.models import Project

BASE = "/api/v1"


class Asking:
    """``ask.get("/runs")`` with a key of ``project``."""

    def __init__(self, project: Project, *scopes: str, name: str = "CI") -> None:
        self.key, self.secret = keys.issue(project, name, scopes or ("read", "run"), by=None)
        self.client = Client(headers={"authorization": f"Bearer {self.secret}"})

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(BASE + path, query)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("post", path, body, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        return getattr(self.client, method)(
            BASE + path, data, content_type="application/json",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )  # fmt: skip
