"""From loading to closed."""

from server.lifecycle.lifecycle import Lifecycle
from server.lifecycle.loading import Loaded, Loader, Model, load, validate

__all__ = ["Lifecycle", "Loaded", "Loader", "Model", "load", "validate"]
