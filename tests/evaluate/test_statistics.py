from tests.evaluate.fabricated import fabricated_reports  # noqa: F401
