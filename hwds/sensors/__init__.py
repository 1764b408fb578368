"""Sensors: is a machine ill, by its sensors' readings now against those while it was well."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
