"""Move a photo's face like the one before a camera, now: newest frames only, each one marked."""

from animate.inference.live.session import LiveSession, Shown
from animate.inference.live.status import Status

__all__ = ["LiveSession", "Shown", "Status"]
