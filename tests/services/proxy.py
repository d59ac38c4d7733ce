"""A proxy that terminates TLS and passes each request to the service of its host."""

import datetime
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .exchange import Answer, Request

Service = Callable[[Request], Answer]


class Authority:
    """Creates certificates for hosts, with its own root that only the tests trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scripted services")])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        root = self._builder(self._name, self._key).add_extension(constraints, critical=True)
        self.certificates = folder / "certificates.pem"
        self.certificates.write_bytes(_pem(root.sign(self._key, hashes.SHA256())))

    def context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._make(host)
            return self._contexts[host]

    def _make(self, host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        builder = self._builder(name, key).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
        )
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        certificate = builder.add_extension(usage, critical=False).sign(self._key, hashes.SHA256())
        path = self._folder / f"{host}.pem"
        path.write_bytes(_key_pem(key) + _pem(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        builder = x509.CertificateBuilder(issuer_name=self._name, subject_name=name, public_key=key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - day).not_valid_after(now + day)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class _Handler(BaseHTTPRequestHandler):
    """HTTP on one connection: the proxy's own, or one inside a tunnel."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    host = ""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.host, self.command, path, query, headers, self._body(headers))
        self._send(self.server.service(request))  # type: ignore[attr-defined]

    def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return self.rfile.read(int(headers["content-length"]))
        body = b""
        while headers.get("transfer-encoding") == "chunked":
            size = int(self.rfile.readline().split(b";")[0], 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                break
        return body

    def _send(self, answer: Answer) -> None:
        if answer.status == 0:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(answer.body, bytes):
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            if int(answer.headers.get("Content-Length", len(answer.body))) > len(answer.body):
                self.close_connection = True  # The response is shorter than announced.
            return
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for part in answer.body:
            self.wfile.write(part)
            self.wfile.flush()


class _ProxyHandler(_Handler):
    def do_CONNECT(self) -> None:
        host = self.path.rpartition(":")[0]
        self.send_response_only(200)
        self.end_headers()
        self.close_connection = True
        context = self.server.authority.context(host)  # type: ignore[attr-defined]
        with context.wrap_socket(self.connection, server_side=True) as within:
            type("_Within", (_Handler,), {"host": host})(within, self.client_address, self.server)


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, authority: Authority, service: Service) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.authority = authority
        self.service = service
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Ignore clients that disconnect."""
