"""Photographs as targets: read, averaged down, compared with renders."""

from invopt.rendering.photographs.photograph import Photograph

__all__ = ["Photograph"]
