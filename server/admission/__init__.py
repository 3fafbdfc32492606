"""Who gets in: one slot for each request at work."""
