"""Evaluation of one checkpoint: every case through the model, every frame measured, one report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import repeat, tee
from pathlib import Path

import torch
from tqdm import tqdm

from animate import checkpoints
from animate.errors import AnimateError
from animate.evaluation import protocol
from animate.evaluation.measure import ClipResult, Meter, Record
from animate.evaluation.report import Report, write
from animate.inference.compose import fitted
from animate.inference.predictor import Predictor
from animate.system.device import find_device, find_threads
from animate.system.parallel import chunks

BASELINES = ("photo", "driver")
CHUNK = 8  # frames measured at a time


def evaluate(
    checkpoint: str | Path,
    data: Path,
    out: Path,
    *,
    pairs: Path | None = None,
    every: int = 1,
    limit: int | None = None,
    baselines: Sequence[str] = ("photo",),
    landmarks: str = "auto",
    landmarks_file: Path | None = None,
    identity: str = "dlib",
    identity_every: int = 5,
    lpips: Path | None = None,
    inception: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = False,
) -> Report:
    """Measure a checkpoint on the clips of `data` and write the report into the folder `out`.

    Without `pairs` each clip's first frame is moved to its others; with it, each photo of the list
    by each clip (`protocol`). Frames 0, `every`, 2 `every`, ... are measured, at most `limit` of a
    clip; the identity of every `identity_every`-th of those. Metrics whose model is not there are
    missing, with the reason. Raises AnimateError for what the caller can mend.
    """
    check(every, limit, identity_every, baselines)
    if find_spec("torchmetrics") is None or find_spec("matplotlib") is None:
        raise AnimateError("evaluation needs more packages: pip install 'animate[evaluate]'")
    cases = protocol.cross(data, pairs) if pairs else protocol.reconstruction(data)
    place = find_device(device)
    network, info = checkpoints.load(checkpoint, device=str(place))
    predictor = Predictor.of(network, precision, find_threads("auto", place))
    meter = Meter(
        same=pairs is None,
        size=network.size,
        landmarks=landmarks,
        landmarks_file=landmarks_file,
        identity=identity,
        identity_every=identity_every,
        lpips=lpips,
        inception=inception,
    )
    methods = ("model", *baselines)
    torch.manual_seed(seed)
    shown = tqdm(cases, unit="clip", disable=None if progress else True)
    try:
        results = [run(case, predictor, meter, methods, every, limit) for case in shown]
    finally:
        meter.close()
    pooled = meter.pooled()
    report = Report(
        protocol=protocol.RECONSTRUCTION if pairs is None else protocol.CROSS,
        settings={
            "checkpoint": str(checkpoint), "model": info.model, "model_sha256": info.sha256,
            "data": Path(data).name, "pairs": pairs and Path(pairs).name,
            "size": network.size, "every": every, "limit": limit, "identity_every": identity_every,
            "precision": str(predictor.precision), "device": place.type,
            "landmarks": meter.landmarker and meter.landmarker.name,
            "identity": meter.identity and meter.identity.name, "seed": seed,
        },
        missing=meter.missing,
        methods=methods,
        clips=results,
        pooled=pooled,
    )  # fmt: skip
    write(report, Path(out), [case.clip for case in cases])
    return report


def check(every: int, limit: int | None, identity_every: int, baselines: Sequence[str]) -> None:
    """Raise AnimateError for numbers and names that make no sense."""
    for name, value in (("every", every), ("limit", limit), ("identity_every", identity_every)):
        if value is not None and value < 1:
            raise AnimateError(f"{name} is {value}: use 1 or more")
    unknown = [name for name in baselines if name not in BASELINES]
    if unknown:
        raise AnimateError(f"there is no baseline {unknown[0]}: use {', '.join(BASELINES)}")


def run(
    case: protocol.Case,
    predictor: Predictor,
    meter: Meter,
    methods: Sequence[str],
    every: int,
    limit: int | None,
) -> ClipResult:
    """Move the photo of one case by its clip, and measure every method beside the driver."""
    size = predictor.model.size
    photo = protocol.photo(case, size)
    ours, theirs, pasted = tee(protocol.driving(case, size, every, limit), 3)
    source = predictor.encode(photo)
    moved = predictor.frames(source, ours, None, relative=not meter.same, adapt_scale=True)
    moved = (fitted(frame, size) for frame in moved)  # a model's pictures may be larger
    streams = {"target": theirs, "model": moved, "photo": repeat(photo), "driver": pasted}
    names = ["target", *methods]
    together = zip(*(streams[name] for name in names), strict=False)
    if case.photo is None:
        next(together, None)  # the first frame is the photo itself
    records = {name: Record() for name in names}
    known, count = meter.vector(photo), 0
    for chunk in chunks(together, CHUNK):
        frames = dict(zip(names, map(list, zip(*chunk, strict=True)), strict=True))
        for name in names:
            meter.follow(records[name], frames[name])
            if name != "target":
                meter.judge(records[name], frames[name], frames["target"], known)
        meter.pool(frames["model"], frames["target"])
        count += len(chunk)
    if not count:
        raise AnimateError(f"{case.clip} has no second frame: use longer clips, or every=1")
    target = records.pop("target")
    return ClipResult(
        name=case.name,
        identity=case.identity,
        frames=count,
        numbers={name: meter.numbers(r, target, known, size) for name, r in records.items()},
        errors={name: record.errors for name, record in records.items()},
        photo=photo,
        worst=records["model"].worst,
    )
