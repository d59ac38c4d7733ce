"""The hosts of Google's APIs and their services."""

from pathlib import Path
from typing import Any

from ..exchange import Answer, Request
from .accounts import Accounts
from .errors import Refusal, disabled
from .images import Images
from .registry import Registry
from .store import HOST as STORAGE
from .store import Store
from .vertex import Vertex

TOKENS = "oauth2.googleapis.com"
REGISTRY = "artifactregistry.googleapis.com"
LOGGING = "logging.googleapis.com"
_AGENT_TOKEN = "ya29.agent-secret"
REGIONS = ("us-central1", "europe-west4")


class Google:
    hosts = (TOKENS, REGISTRY, LOGGING, STORAGE, *(f"{region}-aiplatform.googleapis.com" for region in REGIONS))
    scripted = ("disabled",)

    def __init__(self, folder: Path, registry_program: Path | None) -> None:
        self.disabled: list[str] = []
        """APIs that are disabled in the project."""
        self._accounts, self._registry, self._vertex, self._store = Accounts(), Registry(), Vertex(), Store()
        self._images = Images(folder, registry_program, self._accounts)

    def lead(self, proxy: str, certificates: Path) -> None:
        """Set the variables that make a container use these services."""
        # Vertex AI's own agent pulls images.
        self._accounts.tokens[_AGENT_TOKEN] = "vertex-ai"
        self._vertex.surroundings = {
            "token": _AGENT_TOKEN,
            "HTTPS_PROXY": proxy,
            "certificates": str(certificates),
            "GCE_METADATA_HOST": self._accounts.metadata(),
        }

    def script(self, changes: dict[str, Any]) -> None:
        for name, value in changes.items():
            for part in (self, self._accounts, self._registry, self._vertex, self._store):
                if name in part.scripted:
                    setattr(part, name, value)
                    break
            else:
                raise ValueError(f"nothing of Google is called {name}")

    def state(self) -> dict[str, Any]:
        return {
            **self._accounts.state(),
            "jobs": [job.body for job in self._vertex.jobs],
            "repositories": self._registry.repositories,
            "objects": self._store.objects,
            "images": self._images.address(),
            "logins": self._images.logins,
        }

    def stop(self) -> None:
        self._store.stop()
        self._images.stop()

    def answer(self, request: Request) -> Answer:
        if request.host == TOKENS:
            return self._accounts.answer(request)
        try:
            return self._answer(request)
        except Refusal as refusal:
            return refusal.answer()

    def _answer(self, request: Request) -> Answer:
        user = self._accounts.user(request.headers.get("authorization", ""))
        if user is None:
            raise Refusal(401, "Request had invalid authentication credentials.")
        service = request.host if "-aiplatform" not in request.host else "aiplatform.googleapis.com"
        if service in self.disabled:
            raise disabled(service, "my-project")
        if request.host == STORAGE:
            return self._store.answer(user, request)
        if request.body and not isinstance(request.json, dict):
            raise Refusal(400, "the body is no JSON object")
        if request.host == REGISTRY:
            return Answer.of(self._registry.answer(request))
        if request.host == LOGGING:
            return Answer.of(self._vertex.entries(request.json))
        return Answer.of(self._vertex.answer(request))

