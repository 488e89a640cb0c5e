"""File formats of other evaluation tools. Pure: records in, files out."""
