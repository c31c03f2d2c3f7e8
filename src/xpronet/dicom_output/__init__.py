"""DICOM objects about a study: structured report, presentation state, encapsulated PDF."""
