"""Evidence of remaining lives."""
