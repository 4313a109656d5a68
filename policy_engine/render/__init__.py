"""Text, pages, tables, CSV and Parquet for people, made of the values of the rooms below."""
