"""Who gets in, and to how much."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from server.settings.base import Secret, Section, Strings
from server.settings.plans import Plans

Share = Annotated[float, Field(gt=0, le=1)]


class RedisSettings(Section):
    """Limits shared by several replicas. Times in seconds."""

    url: Secret | None = Field(None, description="redis:// or rediss://; absent: each process has its own limits.")
    prefix: str = Field("electron", description="Of every key; replicas with the same one share their limits.")
    connections: int = Field(32, ge=1)
    timeout: float = Field(0.05, gt=0, le=5, description="Of one answer; longer counts as a failure.")
    lease: float = Field(15.0, gt=0, description="How long a killed replica's requests still count as running.")
    on_failure: Literal["open", "closed"] = Field(
        "open", description="While Redis is away: limits of this process alone, or 503."
    )
    failures: int = Field(3, ge=1, description="In a row, after which Redis is left alone...")
    pause: float = Field(1.0, gt=0, description="...and tried again this often, by nobody's request.")


class AdmissionSettings(Section):
    """Who gets in. Times in seconds."""

    auth: Literal["loopback", "none"] = Field(
        "loopback", description="Without a key file: serve this machine alone, or whoever can reach the port."
    )
    keys_file: Path | None = Field(None, description="Accounts and their keys; see configs/keys.example.yaml.")
    keys_poll: float = Field(1.0, gt=0, description="How often that file is looked at.")
    plans: Plans = Field(default_factory=dict, description="Beside, or over, `standard` and `enterprise`.")
    max_in_flight: int = Field(1024, ge=1, description="Requests at work or queued; one more is answered 503.")
    max_queued_tokens: int = Field(2**20, ge=1, description="Prompt tokens that wait for their first token, likewise.")
    speculative_share: Share = Field(0.85, description="Of both, from which on speculative requests are refused.")
    background_share: Share = Field(0.6, description="Of both, from which on background requests are refused.")
    grace: float = Field(0.15, ge=0, le=5, description="How long to wait for a place that may be about to come free.")
    salt_secret: Secret | None = Field(
        None, description="Keeps accounts apart in the prefix cache. Absent: a random one for each start and replica."
    )
    shared_prompts: Strings = Field(
        (), description="System messages whose beginning all accounts share in the prefix cache; none of them secret."
    )
    redis: RedisSettings = RedisSettings()
