"""Images of any file format as grey arrays: read, decode, resize, transform."""
