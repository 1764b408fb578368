"""Off-policy evaluation: estimators of what a policy would have earned, from the log of another."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
