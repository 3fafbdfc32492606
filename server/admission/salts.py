"""Each account has a prefix cache of its own.

vLLM hashes the salt of a request into its first KV block, and with that into all that follow: a request can only find
blocks that were computed under its own salt. The salt is derived here and never taken from a client.

Under a system prompt that the operator has declared to be shared (`admission.shared_prompts`) the engine lets the same
salt enter later, with the first block that holds anything else: see `server.engine.sharing`.
"""

import base64
import hashlib
import hmac
import secrets

from pydantic import SecretStr

from server.settings import AdmissionSettings, SettingsError

SHORTEST_SECRET = 16  # characters


def salt_secret(settings: AdmissionSettings) -> bytes:
    """The configured secret, or a random one.

    A random one is as safe. It only means that salts differ between replicas and after a restart, so that KV blocks
    kept outside the process (offloaded, or known to a router by their hashes) are not found again.

    Raises:
        SettingsError: too short to be a secret.
    """
    if settings.salt_secret is None:
        return secrets.token_bytes(32)
    text = settings.salt_secret.get_secret_value()
    if len(text) < SHORTEST_SECRET:
        raise SettingsError(f"`admission.salt_secret`: expected {SHORTEST_SECRET} characters or more, got {len(text)}")
    return text.encode()


def with_salt_secret(settings: AdmissionSettings) -> AdmissionSettings:
    """The same, with a random secret where none is configured: for processes that are to have the same salts."""
    if settings.salt_secret is not None:
        return settings
    return settings.model_copy(update={"salt_secret": SecretStr(secrets.token_urlsafe(32))})


def account_salt(secret: bytes, account: str) -> str:
    """43 characters of base64url: within what vLLM takes, 128 characters without `@`, `/` and backslash."""
    digest = hmac.digest(secret, b"prefix cache of " + account.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
