"""Voice conversations against any OpenAI-compatible endpoint, as their callers hear them."""
