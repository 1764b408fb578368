"""Price elasticities: how demand answers to price, for each product in each channel, and how sure
that is.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
