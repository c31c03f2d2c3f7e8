"""Beam search, and reports with their evidence."""
