"""A second, slow reading of the rules, to compare the engine with."""
