"""Move a photo's face like the one before a camera, now: newest frames only, each one marked."""

from animate.live.session import LiveSession, Shown
from animate.live.status import Status

__all__ = ["LiveSession", "Shown", "Status"]
