"""Measure a live session: pictures a second, how old they are, memory, and the mark on a screen.

    python scripts/benchmarks/live.py                  # a minute
    python scripts/benchmarks/live.py --minutes 60     # is memory flat?
    python scripts/benchmarks/live.py --record         # while it is recorded, too

The camera shows the example clip's talking face on a blurred ground, 640x480, forwards and
backwards at its own pace. Its frames are in memory: a camera decodes nothing here. Nothing is drawn
on a screen; what is counted is handed out by `LiveSession.next`, labelled and marked. Ages run from
when a frame is due to then.

The last rows are a screen recording: ten seconds of pictures, each shown until the next, at 25
frames a second, alone and in the middle of a page of 1280x720, coded as H.264 and searched for the
mark. Run nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from itertools import cycle
from pathlib import Path

import numpy as np
from watermark_attacks import h264

from animate.inference.live import LiveSession, Shown
from animate.media.clips import open_clip
from animate.options import Live, Options
from animate.system.memory import keep_memory
from animate.watermark import detect

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
SCREEN = 10.0  # seconds of the screen recording


def seen(frame: np.ndarray) -> np.ndarray:
    """A frame of the clip as a camera sees it: in the middle of 640x480."""
    import cv2

    ground = cv2.blur(cv2.resize(frame, (640, 480)), (61, 61))
    ground[40:440, 120:520] = cv2.resize(frame, (400, 400), interpolation=cv2.INTER_AREA)
    return ground


def resident() -> float:
    """The resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def play(
    session: LiveSession, frames: list[np.ndarray], rate: float, over: threading.Event
) -> None:
    """Push the frames when they are due, forwards and backwards, again and again."""
    start = time.monotonic()
    for number, frame in enumerate(cycle(frames + frames[-2:0:-1])):
        due = start + number / rate
        if over.wait(max(0.0, due - time.monotonic())):
            return
        session.push(frame, due)


def on_screen(pictures: list[Shown], rate: int = 25) -> list[np.ndarray]:
    """What a screen shows at `rate` frames a second: each picture until the next one."""
    times = np.array([shown.when + shown.age for shown in pictures])
    ticks = np.arange(times[0], times[-1], 1 / rate)
    return [pictures[index].frame for index in np.searchsorted(times, ticks, "right") - 1]


def on_page(picture: np.ndarray) -> np.ndarray:
    """A picture in the middle of a light page of 1280x720."""
    page = np.full((720, 1280, 3), 240, np.uint8)
    high, wide = picture.shape[:2]
    top, left = (720 - high) // 2, (1280 - wide) // 2
    page[top : top + high, left : left + wide] = picture
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="[1]")
    parser.add_argument("--photo", type=Path, default=EXAMPLES / "photo.jpg")
    parser.add_argument("--clip", type=Path, default=EXAMPLES / "clip.mp4")
    parser.add_argument("--checkpoint", default="first_order_gated", help="[first_order_gated]")
    parser.add_argument("--size", type=int, default=Live.size, help=f"live.size [{Live.size}]")
    parser.add_argument("--record", action="store_true", help="record to a file meanwhile")
    options = parser.parse_args()
    keep_memory()  # as the command does
    driver = open_clip(options.clip)
    frames = [seen(frame) for frame in driver.frames()]
    with tempfile.TemporaryDirectory() as folder:
        chosen = Options().changed(checkpoint=options.checkpoint)
        began = time.monotonic()
        with LiveSession([options.photo], chosen, Live(size=options.size)) as session:
            opened, over = time.monotonic() - began, threading.Event()
            pump = threading.Thread(target=play, args=(session, frames, float(driver.rate), over))
            pump.start()
            if options.record:
                session.record(Path(folder) / "recorded.mp4")
            spent = time.process_time()
            kept, ages, memory = measured(session, 60 * options.minutes)
            spent = (time.process_time() - spent) / len(ages)
            over.set()
            pump.join()
            recorded = session.stop() if options.record else None
            report(session, opened, ages, memory, 60 * options.minutes)
            print(f"| CPU ms a picture | {1e3 * spent:.0f} |")
            if recorded is not None:
                verdict = recorded.report.verdict
                print(f"| the recording | {recorded.frames} frames, verified: {verdict} |")
            screen = on_screen(kept)
            for name, pictures in (
                ("the picture alone", screen),
                ("in a page of 1280x720", [on_page(picture) for picture in screen]),
            ):
                for crf in (23, 32):
                    found = detect(iter(h264(crf)(pictures)), [session.signer.mark_key], rate=25.0)
                    read = found.payload == session.session.mark(session.claim).payload
                    print(
                        f"| {len(screen) / 25:.0f} s of a screen, {name}, H.264 CRF {crf} | "
                        f"p <= {found.p_value:.1e}, payload {'read' if read else 'not read'} |"
                    )


def measured(
    session: LiveSession, seconds: float
) -> tuple[list[Shown], list[float], list[tuple[float, float]]]:
    """The pictures of the last SCREEN seconds, all ages, and (second, MiB) every five seconds."""
    kept: list[Shown] = []
    ages: list[float] = []
    memory: list[tuple[float, float]] = []
    start = time.monotonic()
    while (now := time.monotonic() - start) < seconds:
        if not memory or now - memory[-1][0] >= 5:
            memory.append((now, resident()))
        shown = session.next(1.0)
        if shown is None:
            continue
        ages.append(shown.age)
        if now > seconds - SCREEN:
            kept.append(shown)
    return kept, ages, memory


def report(
    session: LiveSession,
    opened: float,
    ages: list[float],
    memory: list[tuple[float, float]],
    seconds: float,
) -> None:
    height, width = session.size
    settled = [mib for second, mib in memory if second >= min(60, seconds / 2)]
    print(f"| {width}x{height}, {session.session.predictor.precision} | |\n|---|---|")
    print(f"| seconds until the session is ready | {opened:.1f} |")
    print(f"| pictures a second | {len(ages) / seconds:.1f} |")
    print(f"| age, median | {1e3 * np.median(ages):.0f} ms |")
    print(f"| age, 95th percentile | {1e3 * np.percentile(ages, 95):.0f} ms |")
    print(f"| oldest | {1e3 * max(ages):.0f} ms |")
    print(f"| memory in the last {seconds - min(60, seconds / 2):.0f} s, MiB | "
          f"{min(settled):.0f} to {max(settled):.0f} |")  # fmt: skip


if __name__ == "__main__":
    main()
