"""A model's config and the size of its weights: from a folder, a hub, or a mirror of one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.settings import SettingsError

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Source:
    """where: in words. weights: bytes of the weight files, if they are known without fetching them."""

    where: str
    config: dict[str, Any]
    weights: int | None


def read_source(path: str, revision: str | None = None) -> Source:
    """path: a local folder or a hub id. The hub's own variables count: HF_ENDPOINT names a mirror, HF_HUB_OFFLINE
    leaves what is cached. Fetches two small files at most.

    Raises:
        SettingsError: there is no such model, or nothing to ask.
    """
    folder = Path(path)
    if folder.is_dir():
        files = sorted(folder.glob("*.safetensors"))
        return Source(
            f"the folder {folder}", _json(folder / "config.json"), sum(one.stat().st_size for one in files) or None
        )
    if path.startswith(("/", ".", "~")):
        raise SettingsError(f"`model.path`: there is no folder {path}")
    config = _json(_fetched(path, "config.json", revision))
    try:
        weights = int(_json(_fetched(path, INDEX, revision))["metadata"]["total_size"])
    except (SettingsError, KeyError):
        weights = None  # one file, or none: worked out from the shape
    return Source(f"{path} of the hub", config, weights)


def _fetched(repository: str, name: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except Exception as error:  # of the hub's own many kinds, and of the network's
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SettingsError(f"{repository}/{name} cannot be had from the hub: {reason}") from error


def _json(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise SettingsError(f"{file} is not JSON: {error}") from None
    return found
