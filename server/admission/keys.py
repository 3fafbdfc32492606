"""API keys: `sk_<id>_<secret>`.

The id is public and names the record; the secret has 256 random bits. What is stored is SHA-256 over a salt of the
record and the whole key. A slow hash would protect secrets that can be guessed; these cannot be, and a fast one costs a
call two microseconds. The salt keeps equal keys from looking equal and tables made beforehand from being of use.

Whatever is presented, one hash is computed and one comparison made: an unknown id is compared with a record that no key
fits.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

PREFIX = "sk"
SCHEME = "sha256"
LONGEST = 256  # characters; what is longer is no key, and not worth hashing


@dataclass(frozen=True, slots=True)
class KeyHash:
    """As text: `sha256$<salt>$<digest>`, both in hexadecimal."""

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, key: str) -> "KeyHash":
        salt = secrets.token_bytes(16)
        return cls(salt, digest(salt, key))

    @classmethod
    def parse(cls, text: str) -> "KeyHash":
        """
        Raises:
            ValueError: not of that form; the message does not repeat it.
        """
        scheme, _, rest = text.partition("$")
        salt, _, digest = rest.partition("$")
        try:
            parsed = cls(bytes.fromhex(salt), bytes.fromhex(digest))
        except ValueError:
            raise ValueError("expected hexadecimal salt and digest") from None
        if scheme != SCHEME or len(parsed.salt) < 16 or len(parsed.digest) != hashlib.sha256().digest_size:
            raise ValueError(f"expected {SCHEME}$<salt>$<digest>")
        return parsed

    def __str__(self) -> str:
        return f"{SCHEME}${self.salt.hex()}${self.digest.hex()}"

    def fits(self, key: str) -> bool:
        return hmac.compare_digest(digest(self.salt, key), self.digest)


# No key has this digest: nobody knows what to hash for it.
NOBODY = KeyHash(bytes(16), bytes(32))


def new_key() -> tuple[str, str]:
    """The id and the whole key."""
    key_id = secrets.token_hex(6)
    return key_id, f"{PREFIX}_{key_id}_{secrets.token_hex(32)}"


def key_id_of(key: str) -> str:
    """The id in something that may be a key; empty where there is none."""
    prefix, _, rest = key.partition("_")
    return rest.partition("_")[0] if prefix == PREFIX else ""


def digest(salt: bytes, key: str) -> bytes:
    return hashlib.sha256(salt + key[:LONGEST].encode("utf-8", "surrogatepass")).digest()
