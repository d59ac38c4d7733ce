"""User logins, service account keys and machines, and the tokens for them."""

import base64
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ..exchange import Answer, Request

_AUDIENCE = "https://oauth2.googleapis.com/token"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_EMAIL = "trainer@my-project.iam.gserviceaccount.com"


class Accounts:
    scripted = ("tokens", "logins", "lifetime", "machine")

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        """Valid tokens and their users."""
        self.logins: dict[str, str] = {"1//refresh-secret": "ada"}
        self.lifetime = 3599
        self.machine: str | None = "trainer"
        """The user of the machine's tokens, or None if it has no service account."""
        self._made = 0
        self._lock = threading.Lock()
        self._key: rsa.RSAPrivateKey | None = None
        self._metadata: str | None = None

    def state(self) -> dict[str, Any]:
        return {"key": self._key_file(), "metadata": self.metadata()}

    def user(self, authorization: str) -> str | None:
        scheme, _, token = authorization.partition(" ")
        return self.tokens.get(token) if scheme == "Bearer" else None

    def answer(self, request: Request) -> Answer:
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        match form:
            case {"grant_type": "refresh_token", "client_id": "client", "client_secret": "client-secret"}:
                user = self.logins.get(form.get("refresh_token", ""))
            case {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}:
                user = self._signed(assertion)
            case _:
                return Answer.of({"error": "unsupported_grant_type"}, 400)
        if user is None:
            return Answer.of({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)
        return Answer.of(self._token(user))

    def _token(self, user: str) -> dict[str, Any]:
        with self._lock:
            self._made += 1
            token = f"ya29.made-secret-{self._made}"
            self.tokens[token] = user
        return {"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}

    def _signed(self, assertion: str) -> str | None:
        head, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in assertion.split("."))
        read = json.loads(claims)
        assert json.loads(head)["alg"] == "RS256" and self._key is not None
        signed = assertion.rpartition(".")[0].encode()
        # Raises if the key is another one.
        self._key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        good = read["aud"] == _AUDIENCE and read["scope"] == _SCOPE and read["exp"] - read["iat"] == 3600
        return "trainer" if good and read["iss"] == _EMAIL else None

    def _key_file(self) -> dict[str, str]:
        with self._lock:
            if self._key is None:
                self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": "my-project",
            "private_key_id": "key-1",
            "private_key": pem.decode(),
            "client_email": _EMAIL,
            "token_uri": _AUDIENCE,
        }

    def metadata(self) -> str:
        """The address of the metadata server, which is started on first use."""
        accounts = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text = accounts._of_machine(self.path, self.headers.get("Metadata-Flavor"))
                self.send_response(status)
                self.send_header("Metadata-Flavor", "Google")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        with self._lock:
            if self._metadata is None:
                server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
                threading.Thread(target=server.serve_forever, daemon=True).start()
                self._metadata = f"127.0.0.1:{server.server_port}"
        return self._metadata

    def _of_machine(self, path: str, flavor: str | None) -> tuple[int, str]:
        if flavor != "Google":
            return 403, "Missing Metadata-Flavor:Google header."
        match path.partition("?")[0]:
            case "/":
                return 200, "computeMetadata/"
            case "/computeMetadata/v1/project/project-id":
                return 200, "my-project"
            case "/computeMetadata/v1/instance/service-accounts/default/token" if self.machine:
                return 200, json.dumps(self._token(self.machine))
        return 404, "no such thing"
