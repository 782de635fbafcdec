"""The only writer of media."""

from animate.publish.publisher import ATTEMPTS, LABEL, Published, check, publish

__all__ = ["ATTEMPTS", "LABEL", "Published", "check", "publish"]
