"""Checks an ID token (OpenID Connect Core 1.0 section 3.1.3.7) with joserfc (RFC 7515, RFC 7517, RFC 7519).

Algorithms are ours to choose, not the token's: asymmetric ones only, so that neither ``none`` nor a public key used as
a shared secret passes (RFC 8725 sections 3.1 and 3.2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
TOKEN_CHARACTERS_MAX: Final = 16_384
LEEWAY_S: Final = 60
"""Between our clock and the provider's."""
AGE_MAX_S: Final = 600
"""A token that was made for this login was made just now."""


class IdTokenError(Exception):
    """The token is not good; ``reason`` is from a closed set and holds nothing of the token."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class UnknownKeyError(IdTokenError):
    """No key fits: the provider may have new ones."""


def key_set_of(body: bytes) -> KeySet:
    """Return the keys of a JWKS document. Raises IdTokenError."""
    try:
        document = json.loads(body)
        # Keys for encryption, and of kinds that we do not take, are passed over: providers list many.
        keys = [key for key in document["keys"] if key.get("use", "sig") == "sig" and key.get("kty") != "oct"]
        return KeySet.import_key_set({"keys": keys})
    except (ValueError, KeyError, TypeError, AttributeError, JoseError):
        raise IdTokenError("bad_key_set") from None


def checked_claims(
    token: str, keys: KeySet, *, issuer: str, client_id: str, nonce: str, now_s: float
) -> Mapping[str, Any]:
    """Return the claims of a good token. Raises UnknownKeyError where other keys might help, else IdTokenError."""
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise IdTokenError("too_long")
    try:
        decoded = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
    except (JoseError, ValueError) as error:
        # A key that is not there, or one of the same name that was changed.
        kind = UnknownKeyError if _may_be_another_key(error) else IdTokenError
        raise kind(f"signature_{type(error).__name__}") from None
    claims = decoded.claims
    _require(claims.get("iss") == issuer, "iss")
    audience = claims.get("aud")
    _require(client_id in (audience if isinstance(audience, list) else [audience]), "aud")
    _require(not isinstance(audience, list) or len(audience) == 1 or claims.get("azp") == client_id, "azp")
    _require(claims.get("azp", client_id) == client_id, "azp")
    _require(isinstance(claims.get("nonce"), str) and claims["nonce"] == nonce, "nonce")
    _require(now_s < _seconds(claims, "exp") + LEEWAY_S, "exp")
    made_s = _seconds(claims, "iat")
    _require(now_s - AGE_MAX_S - LEEWAY_S < made_s < now_s + LEEWAY_S, "iat")
    _require("nbf" not in claims or _seconds(claims, "nbf") < now_s + LEEWAY_S, "nbf")
    _require(isinstance(claims.get("sub"), str) and 0 < len(claims["sub"]) <= 255, "sub")
    return claims


def _may_be_another_key(error: Exception) -> bool:
    return isinstance(error, ValueError) or type(error).__name__ in ("InvalidKeyIdError", "BadSignatureError")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise IdTokenError(name)
    return float(value)


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise IdTokenError(reason)
