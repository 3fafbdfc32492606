"""Who is calling."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.admission.keyfile import Key, KeyFile, Scope
from server.admission.keys import NOBODY, key_id_of
from server.errors import Forbidden, Unauthenticated
from server.settings import AdmissionSettings, PlanSettings

LOCAL = "local"  # the account and the plan of everybody, where there are no keys
MISSING = "An API key is missing: send `Authorization: Bearer sk_…`."
INCORRECT = "The API key is not valid."


@dataclass(frozen=True, slots=True)
class Caller:
    """`terms`: what the plan says. `key_id`: public; empty where there are no keys."""

    account: str
    key_id: str
    plan: str
    terms: PlanSettings
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """
        Raises:
            Forbidden: the key was not made for this.
        """
        if scope not in self.scopes:
            raise Forbidden(f"This key lacks the scope `{scope}`.")


class KeyRing:
    """The keys of one version of the key file."""

    def __init__(self, file: KeyFile, plans: Mapping[str, PlanSettings]) -> None:
        self._keys: dict[str, tuple[Caller, Key]] = {
            key.id: (Caller(name, key.id, account.plan, plans[account.plan], frozenset(key.scopes)), key)
            for name, account, key in file.each_key()
        }

    def __len__(self) -> int:
        """Keys that are valid."""
        return sum(key.revoked is None for _, key in self._keys.values())

    def accounts(self) -> list[Caller]:
        """One of the callers of each account that has a valid key."""
        return list({caller.account: caller for caller, key in self._keys.values() if key.revoked is None}.values())

    def find(self, presented: str) -> Caller | None:
        """Whose key that is. The work is the same for keys of every kind, right, wrong, revoked or none at all."""
        caller, key = self._keys.get(key_id_of(presented), (None, None))
        fits = (NOBODY if key is None else key.hash).fits(presented)
        return caller if fits and key is not None and key.revoked is None else None


def bearer_token(authorization: str | None) -> str:
    """
    Raises:
        Unauthenticated: there is none.
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(MISSING)
    return token.strip()


def identify(ring: KeyRing, authorization: str | None) -> Caller:
    """
    Raises:
        Unauthenticated: no key, or none that is valid; nothing tells an unknown key from a revoked one.
    """
    if (caller := ring.find(bearer_token(authorization))) is None:
        raise Unauthenticated(INCORRECT)
    return caller


def local_caller(settings: AdmissionSettings) -> Caller:
    """Everybody, where there are no keys: without limits, unless a plan is called so. A stranger is no operator."""
    scopes: frozenset[Scope] = frozenset({"inference", "admin"} if settings.auth == "loopback" else {"inference"})
    return Caller(LOCAL, "", LOCAL, settings.plans.get(LOCAL, PlanSettings()), scopes)
