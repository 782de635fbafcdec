"""Counts of one pass over a driver or a source video, and notes on them."""

from __future__ import annotations

from dataclasses import dataclass

from animate.faces import TrackedFrame
from animate.media.clips import Clip


@dataclass
class DriverStats:
    """Counts of one pass: frames, frames without a face or with an untrusted pose, scene cuts."""

    frames: int = 0
    missing: int = 0  # frames without a face
    first_missing: int | None = None  # number of the first one
    doubted: int = 0  # frames with a face whose pose can't be trusted
    first_doubted: int | None = None  # number of the first one
    none_trusted: bool = False  # no pose can be trusted: all are used unchanged
    cuts: int = 0
    turns: int = 0  # quarter turns to the left that make it upright
    combed: bool = False  # interlaced, though its file doesn't say so
    held: int = 0  # frames whose head movement was limited
    strayed: int = 0  # frames whose head movement was not, but is too far for the photo
    distance: float = 0.0  # from the reference pose to the photo's, where one was searched

    @classmethod
    def of(cls, clip: Clip) -> DriverStats:
        """No counts yet, and what had to be done to the clip to read it."""
        return cls(turns=clip.turns, combed=clip.order is not None)

    def count(self, tracked: TrackedFrame, first: int = 0) -> None:
        """Count one frame of a pass that began with frame number `first`."""
        if not tracked.found:
            self.missing += 1
            if self.first_missing is None:
                self.first_missing = first + self.frames
        self.frames += 1

    def doubt(self, number: int) -> None:
        """Count the frame `number` as one whose pose can't be trusted."""
        self.doubted += 1
        if self.first_doubted is None:
            self.first_doubted = number

    def hold(self, frames: int) -> None:
        """Count frames whose head movement was limited."""
        self.held += frames

    def stray(self, frames: int) -> None:
        """Count frames whose head goes further than its photo can show, as the user asked."""
        self.strayed += frames

    def words(self, whose: str = "clip", *, turned_back: bool = False) -> list[str]:
        """Notes for the user about `whose` video ("clip", "source video").

        turned_back: the result lies as the video does.
        """
        found = []
        if self.combed:
            found.append(f"the {whose} is interlaced, which it doesn't say, and was deinterlaced")
        if self.turns:
            how = "upside down" if self.turns == 2 else "on its side"
            result = "; the result lies as it does" if turned_back else ""
            found.append(f"the {whose} is {how} and was turned upright for reading{result}")
        if self.missing:
            found.append(
                f"{self.missing} of the {whose}'s {self.frames} frames without a face (the first: "
                f"{self.first_missing})"
            )
        if self.none_trusted:
            found.append(
                f"no pose of the {whose}'s {self.frames} frames could be trusted: all are used "
                "unchanged"
            )
        elif self.doubted:
            found.append(
                f"{self.doubted} of the {whose}'s {self.frames} frames with a face whose pose "
                f"could not be trusted (the first: {self.first_doubted})"
            )
        if self.held:
            found.append(
                f"{self.held} of the {whose}'s {self.frames} frames with limited head movement, "
                "which would cut off hair or tear the neck"
            )
        if self.strayed:
            found.append(
                f"{self.strayed} of the {whose}'s {self.frames} frames move the head so far that "
                "hair may be cut off or the neck torn: retarget.head=auto limits that"
            )
        if self.cuts:
            found.append(f"{self.cuts} scene cut" + "s" * (self.cuts > 1))
        return found
