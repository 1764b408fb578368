"""Sensors: is a machine ill, by what its sensors say now against what they said while it was well."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
