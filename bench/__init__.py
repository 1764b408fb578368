"""Speed against rivals: `python -m bench` prints one table of ratios, all measured in one run on
one thread.
"""
