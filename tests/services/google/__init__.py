"""Google Cloud for its clients: tokens, Artifact Registry, Vertex AI's custom jobs, their logs, and storage.

Jobs follow the test's script, or really run. Storage is fake-gcs-server, and images go to Debian's docker-registry.
"""

from .service import Google

__all__ = ["Google"]
