"""What a scene offers as unknowns."""

from invopt.rendering.exploring.explore import explore
from invopt.rendering.exploring.offer import Exploration, Offer

__all__ = ["Exploration", "Offer", "explore"]
