"""What an operator gets to see: one record for every request, and metrics."""
