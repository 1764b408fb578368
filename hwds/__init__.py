"""hwds: declarative experiments for hardware demand, prices, fraud and factories."""

__version__ = "0.1.0"
