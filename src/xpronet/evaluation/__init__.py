"""Scores that cannot be fooled: language, findings, baselines, intervals."""
