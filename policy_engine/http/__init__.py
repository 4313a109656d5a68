"""HTTP below every door: what a connection may hold."""
