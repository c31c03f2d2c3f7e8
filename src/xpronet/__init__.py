"""Draft radiology reports from chest X-ray studies, and show why."""

__version__ = "0.1.0"
