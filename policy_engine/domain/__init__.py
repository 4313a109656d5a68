"""Ground floor: facts, rules, verdicts. Pure: no framework, no input or output, no clock, no randomness."""
