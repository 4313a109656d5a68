"""The policy wing: rule files to a rule book, and a rule book to verdicts."""
