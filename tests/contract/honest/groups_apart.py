"""Folds of whole customers."""

from hwds.detection.protocols.grouped_kfold import GroupedKFold as Protocol  # noqa: F401
