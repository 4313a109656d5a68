"""What every decision takes: who asks, what it stands on, the walk, and the feed of what ended."""
