"""The process's one registry of metrics: doors and engine add their collectors, ``/metrics`` prints them."""

from typing import Final

from prometheus_client import CollectorRegistry

REGISTRY: Final = CollectorRegistry()
"""Ours rather than the library's default, so that only what Postrider means to publish is published."""
