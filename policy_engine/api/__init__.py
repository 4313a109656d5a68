"""HTTP: words in, words out. One route file for each audience, one table from error to status."""
