"""Several servers as one, and what surrounds them."""
