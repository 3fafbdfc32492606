"""A sentence before a tool call: when it is wanted, its grammar for the model, phrases where that cannot be."""

from server.prompt.filler.plan import FillerPlanner, Planned

__all__ = ["FillerPlanner", "Planned"]
