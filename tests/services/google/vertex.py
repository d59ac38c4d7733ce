"""Vertex AI's custom jobs, and their logs in Cloud Logging."""

import datetime
import re
import threading
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from ..exchange import Request
from . import container
from .errors import Refusal

_PATH = re.compile(r"/v1/projects/([^/]+)/locations/([^/]+)/customJobs(?:/([^/:]+))?(:cancel)?")
_FILTER = re.compile(
    r'resource\.type="ml_job" AND resource\.labels\.job_id="([^"]+)" AND timestamp>="([^"]+)"'
)
_FINAL = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def _nanoseconds(timestamp: str) -> tuple[str, str]:
    """Return a sort key for a timestamp, whose fraction may have any number of digits."""
    whole, _, fraction = timestamp.removesuffix("Z").partition(".")
    return whole, fraction.ljust(9, "0")


@dataclass
class Job:
    """One custom job."""

    body: dict[str, Any]
    name: str
    states: list[str]
    """Returned one after the other; the last one remains."""
    entries: list[dict[str, Any]] = field(default_factory=list)
    late: list[dict[str, Any]] = field(default_factory=list)
    """Lines that arrive late: see `Vertex.late`."""
    error: dict[str, Any] | None = None
    created: str = field(default_factory=now)
    containers: list[Any] = field(default_factory=list)
    cancelled: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, message: str, at: str | None = None, replica: str = "workerpool0-0") -> None:
        with self.lock:
            self.entries.append(
                {
                    "logName": f"projects/my-project/logs/{replica}",
                    "resource": {"type": "ml_job", "labels": {"task_name": replica}},
                    "timestamp": at or now(),
                    "insertId": str(len(self.entries)),
                    "jsonPayload": {"message": message, "levelname": "INFO"},
                }
            )

    def look(self) -> None:
        """Count a query of the log from its first page."""
        for line in self.late:
            line["looks"] -= 1
            if line["looks"] == 0:
                at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=line["seconds"])
                self.write(f"{line['message']}\n", at.isoformat().replace("+00:00", "Z"))

    def to_json(self) -> dict[str, Any]:
        state = self.states[0]
        word = state if state.startswith("!") else f"JOB_STATE_{state}"
        told = {**self.body, "name": self.name, "state": word.lstrip("!"), "createTime": self.created}
        if state not in ("QUEUED", "PENDING"):
            told["startTime"] = self.created
        if state in _FINAL:
            told["endTime"] = now()
        return told | ({"error": self.error} if self.error else {})


class Vertex:
    scripted = (
        "states", "log", "late", "error", "projects", "may_act", "run", "page_size", "empty_pages", "surroundings"
    )

    def __init__(self) -> None:
        self.states = ["QUEUED", "PENDING", "RUNNING", "SUCCEEDED"]
        """The states of a new job. `!WORD` returns WORD unchanged."""
        self.log = ["hello"]
        self.late: list[dict[str, Any]] = []
        """Each is `{"message", "seconds", "looks"}`: its age when it arrives, and at which query that is."""
        self.error: dict[str, Any] | None = None
        self.projects = {"my-project": "123456789012"}
        self.may_act = ["trainer@my-project.iam.gserviceaccount.com"]
        self.run = False
        """Really run jobs, on this machine's engine."""
        self.page_size = 1000
        self.empty_pages = 0
        """How many empty pages a log has before the others."""
        self.surroundings: dict[str, str] = {}
        """The variables that make a container use these services."""
        self.jobs: list[Job] = []
        self._lock = threading.Lock()

    def answer(self, request: Request) -> dict[str, Any]:
        match = _PATH.fullmatch(request.path)
        if match is None:
            raise Refusal(404, f"no such path {request.path}")
        project, region, number, cancel = match.groups()
        if request.host != f"{region}-aiplatform.googleapis.com":
            raise Refusal(400, f"{request.host} does not serve {region}")
        number_of = self.projects.get(project, project)
        if number_of not in self.projects.values():
            raise Refusal(403, f"Permission 'aiplatform.customJobs.list' denied on resource project {project}.")
        parent = f"projects/{number_of}/locations/{region}/customJobs"
        with self._lock:
            if number is None and request.method == "POST":
                return self._create(parent, request.json)
            if number is None:
                return self._list(parent, dict(urllib.parse.parse_qsl(request.query)))
            job = next((job for job in self.jobs if job.name == f"{parent}/{number}"), None)
            if job is None:
                raise Refusal(404, "The CustomJob does not exist.")
            return self._cancel(job) if cancel else self._get(job)

    def _create(self, parent: str, body: dict[str, Any]) -> dict[str, Any]:
        if not body.get("displayName"):
            raise Refusal(400, "displayName is required.")
        account = body["jobSpec"].get("serviceAccount")
        if account is not None and account not in self.may_act:
            raise Refusal(400, f"You do not have permission to act as service_account: {account}. (or it may not exist).")
        late = [dict(line) for line in self.late]
        job = Job(body, f"{parent}/{8800 + len(self.jobs)}", list(self.states), late=late, error=self.error)
        for line in self.log:
            job.write(f"{line}\n")
        self.jobs.append(job)
        if self.run:
            job.states, job.entries = ["PENDING"], []
            threading.Thread(target=container.run, args=(job, self.surroundings), daemon=True).start()
        return job.to_json()

    def _list(self, parent: str, query: dict[str, str]) -> dict[str, Any]:
        wanted = re.fullmatch(r'display_name="([^"]+)"', query.get("filter", ""))
        if "filter" in query and wanted is None:
            raise Refusal(400, f"invalid filter {query['filter']}")
        jobs = [job for job in self.jobs if job.name.startswith(parent + "/")]
        if wanted is not None:
            jobs = [job for job in jobs if job.body["displayName"] == wanted[1]]
        return {"customJobs": [job.to_json() for job in jobs[: int(query.get("pageSize", 100))]]} if jobs else {}

    def _get(self, job: Job) -> dict[str, Any]:
        told = job.to_json()
        if len(job.states) > 1:
            job.states.pop(0)
        return told

    def _cancel(self, job: Job) -> dict[str, Any]:
        job.cancelled = True
        if job.states[0] not in _FINAL:
            job.states = ["CANCELLING"] if job.containers else ["CANCELLING", "CANCELLED"]
        for replica in job.containers:
            threading.Thread(target=replica.stop, kwargs={"timeout": 10}, daemon=True).start()
        return {}

    def entries(self, body: dict[str, Any]) -> dict[str, Any]:
        read = _FILTER.fullmatch(body["filter"])
        if read is None or body["orderBy"] != "timestamp asc" or body["resourceNames"][0].count("/") != 1:
            raise Refusal(400, f"invalid filter {body['filter']}")
        job = next((job for job in self.jobs if job.name.endswith(f"/{read[1]}")), None)
        if job is not None and "pageToken" not in body:
            job.look()
        start_time = _nanoseconds(read[2])
        found = [entry for entry in (job.entries if job else []) if _nanoseconds(entry["timestamp"]) >= start_time]
        found.sort(key=lambda entry: _nanoseconds(entry["timestamp"]))
        empty, _, start = body.get("pageToken", "0/0").partition("/")
        if int(empty) < self.empty_pages:
            return {"nextPageToken": f"{int(empty) + 1}/0"}
        end = int(start) + min(self.page_size, body["pageSize"])
        page = {"entries": found[int(start) : end]} if found else {}
        return page | ({"nextPageToken": f"{empty}/{end}"} if end < len(found) else {})
