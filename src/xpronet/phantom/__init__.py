"""The phantom corpus: drawn chest X-rays whose findings are known exactly."""
