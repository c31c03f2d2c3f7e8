"""Drawn chest X-rays about which everything is known."""
