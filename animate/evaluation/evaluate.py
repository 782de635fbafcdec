"""Evaluate a checkpoint: move every case, measure every frame, write one report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields, replace
from importlib.util import find_spec
from itertools import repeat, tee
from pathlib import Path
from typing import Any

import torch

from animate.errors import AnimateError
from animate.evaluation import protocol
from animate.evaluation.measure import ClipResult, Meter, Record
from animate.evaluation.report import Report, write
from animate.inference.pictures import fitted
from animate.inference.predictor import Predictor
from animate.inference.session import Session
from animate.options import Evaluation, Options
from animate.system.observer import QUIET, Observer
from animate.system.parallel import chunks

CHUNK = 8  # frames measured at a time
OPTIONS, EVALUATION = Options(), Evaluation()
HONOURED = {"motion.name", "motion.checkpoint", "device", "precision", "threads"}


def evaluate(
    data: str | Path,
    out: str | Path,
    options: Options = OPTIONS,
    evaluation: Evaluation = EVALUATION,
    *,
    observer: Observer = QUIET,
    **settings: Any,
) -> Report:
    """Measure a checkpoint on the clips of `data` and write the report into the folder `out`.

    Without `evaluation.pairs` each clip's first frame is moved to its other frames. With it, each
    photo of the list is moved by each clip (`protocol`). Frames 0, `every`, 2 `every`, ... are
    measured. `settings` change some of `options` and `evaluation` by keyword
    (`checkpoint="..."`, `every=2`). A metric whose model is not installed is missing from the
    report, with the reason. Raises AnimateError for user errors, such as an option that an
    evaluation can't honour.
    """
    own = {one.name for one in fields(evaluation)}
    evaluation = replace(evaluation, **{k: v for k, v in settings.items() if k in own})
    options = options.changed(**{k: v for k, v in settings.items() if k not in own})
    options.refuse_others(HONOURED, "an evaluation")
    if find_spec("torchmetrics") is None or find_spec("matplotlib") is None:
        raise AnimateError("evaluation needs more packages: pip install 'animate[evaluate]'")
    data, pairs = Path(data), evaluation.pairs
    cases = protocol.cross(data, pairs) if pairs else protocol.reconstruction(data)
    session = Session.open(options)
    predictor, info, size = session.predictor, session.info, session.predictor.model.size
    meter = Meter(
        same=pairs is None,
        size=size,
        landmarks=evaluation.landmarks,
        landmarks_file=evaluation.landmarks_file,
        identity=evaluation.identity,
        identity_every=evaluation.identity_every,
        lpips=evaluation.lpips,
        inception=evaluation.inception,
    )
    methods = ("model", *evaluation.baselines)
    torch.manual_seed(evaluation.seed)
    try:
        with closing(observer.watch(cases, len(cases), "clip")) as watched:
            results = [run(case, predictor, meter, methods, evaluation) for case in watched]
    finally:
        meter.close()
    pooled = meter.pooled()
    report = Report(
        protocol=protocol.RECONSTRUCTION if pairs is None else protocol.CROSS,
        settings={
            "checkpoint": str(options.motion.checkpoint), "model": info.model,
            "model_sha256": info.sha256, "data": data.name, "pairs": pairs and pairs.name,
            "size": size, "every": evaluation.every, "limit": evaluation.limit,
            "identity_every": evaluation.identity_every, "precision": str(predictor.precision),
            "device": predictor.model.device.type,
            "landmarks": meter.landmarker and meter.landmarker.name,
            "identity": meter.identity and meter.identity.name, "seed": evaluation.seed,
        },
        missing=meter.missing,
        methods=methods,
        clips=results,
        pooled=pooled,
    )  # fmt: skip
    write(report, Path(out), [case.clip for case in cases])
    return report


def run(
    case: protocol.Case,
    predictor: Predictor,
    meter: Meter,
    methods: Sequence[str],
    evaluation: Evaluation,
) -> ClipResult:
    """Move the photo of one case by its clip, and measure every method against the driver."""
    size = predictor.model.size
    photo = protocol.photo(case, size)
    ours, theirs, pasted = tee(protocol.driving(case, size, evaluation.every, evaluation.limit), 3)
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
                meter.compare(records[name], frames[name], frames["target"], known)
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
        fits={name: meter.fits(record, target) for name, record in records.items()},
        errors={name: record.errors for name, record in records.items()},
        photo=photo,
        worst=records["model"].worst,
    )
