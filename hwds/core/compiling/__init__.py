"""The compiling of functions that compiled code calls."""
