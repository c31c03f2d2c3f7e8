"""The fourteen findings and the ways to read them from a report."""
