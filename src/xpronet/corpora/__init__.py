"""Corpus builders: from what owners distribute, or a user's table, to a corpus folder."""
