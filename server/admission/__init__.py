"""Who gets in: callers by their keys, plans and their limits, and what the node can carry."""
