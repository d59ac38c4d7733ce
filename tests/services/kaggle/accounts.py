"""Tokens and keys, and their users."""

import base64
from typing import Any

from ..exchange import Answer, Request

_INTROSPECT = "security.OAuthService/IntrospectToken"
_GENERATE = "users.AccountService/GenerateAccessToken"


class Accounts:
    scripted = ("tokens", "keys", "logins", "lifetime")

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {"KGAT_secret": "ada"}
        self.keys: dict[str, str] = {"ada": "key-secret"}
        self.logins: dict[str, str] = {"refresh-secret": "ada"}
        self.lifetime = 43200
        self._made = 0

    def answer(self, method: str, request: Request) -> Answer | None:
        body: Any = request.json
        if method == _INTROSPECT:
            user = self.tokens.get(body["token"])
            return Answer.of({"active": True, "username": user} if user else {"active": False})
        if method == _GENERATE:
            user = self.logins.get(body["refreshToken"])
            if user is None or body["apiVersion"] != "API_VERSION_V1" or body["expirationDuration"] != "43200s":
                return Answer.of({"code": 401, "message": "Unauthenticated"}, 401)
            self._made += 1
            token = f"made-secret-{self._made}"
            self.tokens[token] = user
            return Answer.of({"token": token, "expiresIn": self.lifetime})
        return None

    def user(self, authorization: str) -> str | None:
        scheme, _, secret = authorization.partition(" ")
        if scheme == "Bearer":
            return self.tokens.get(secret)
        if scheme == "Basic":
            user, _, key = base64.b64decode(secret).decode().partition(":")
            return user if self.keys.get(user) == key else None
        return None
