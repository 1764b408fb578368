"""Tests of hwds; they mirror the package."""
