"""What people change: rule books, members, freezes and reviews, and what would come of it."""
