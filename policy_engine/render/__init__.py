"""Text, HTML and CSV, made from values that are given."""
