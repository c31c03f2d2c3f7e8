"""Report text: cleaning, sections, vocabulary."""
