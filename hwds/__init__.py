"""hwds: declarative experiments for hardware demand, prices, fraud and factories.

What a user's own code imports is here, and in `hwds.forecast`, `hwds.detection`, `hwds.bandit`,
`hwds.ab`, `hwds.ope`, `hwds.elasticity`, `hwds.lifetime`, `hwds.sensors`, `hwds.inspection` and
`hwds.datasets`: each name is listed in the stub file beside its package and is imported when it is
first used.
"""

import sys

import lazy_loader

from hwds.core.moved import MovedModules

__version__ = "0.1.0"

sys.meta_path.append(MovedModules)  # the last: only an import that fails comes to it

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
