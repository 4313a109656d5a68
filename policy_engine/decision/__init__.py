"""From a question to a decision and its record, and the worked examples that hold it to what it should be."""
