"""The documents of the service, each declared once: what it is sent, what it answers, and what its client reads."""
