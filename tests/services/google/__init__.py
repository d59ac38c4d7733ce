"""Google Cloud as its clients know it: tokens, Artifact Registry, Vertex AI's custom jobs, their logs, and storage.

What the service does with a job is the script's to say, or truly done. Storage is fake-gcs-server, and images go to
Debian's docker-registry.
"""

from .service import Google

__all__ = ["Google"]
