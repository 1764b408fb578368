"""How numba compiles what compiled code calls."""
