"""What people read, held to plain English: `python -m tests.words` counts, and names findings."""
