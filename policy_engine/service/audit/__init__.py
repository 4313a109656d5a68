"""What auditors ask and prove: searches, replays, evidence, holds and retiring."""
