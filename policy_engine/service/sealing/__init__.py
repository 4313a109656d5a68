"""The sealed log: sealed, found again and verified."""
