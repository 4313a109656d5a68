"""What is kept: members, keys and the log of decisions, in SQLite or PostgreSQL. SQL is met only here."""
