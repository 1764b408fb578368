"""A/B tests: comparisons of arms, and the protocols that analyse and plan a test."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
