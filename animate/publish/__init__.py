"""The only writer of media."""

from animate.publish.publisher import LABEL, LOUDER, Published, check, publish

__all__ = ["LABEL", "LOUDER", "Published", "check", "publish"]
