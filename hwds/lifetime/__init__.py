"""Lifetimes: how long machines and devices will last, by what their sensors say, and how sure that
is.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
