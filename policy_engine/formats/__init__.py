"""Bytes to values, each with its place in the file: strict documents and the membership file."""
