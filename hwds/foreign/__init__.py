"""Forecasters of other libraries under our protocols, by the names that the libraries give them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
