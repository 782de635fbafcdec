"""What a user may choose: one frozen dataclass for each group of settings.

Default, check and explanation of a setting are here and nowhere else. The files of configs/ hold
only what a choice changes; the commands' help and the keywords in Python are made from these
classes.
"""

from animate.options.commands import INSTEAD, settings_of
from animate.options.evaluation import Evaluation, EvaluationFolders
from animate.options.groups import (
    Compute,
    Faces,
    Label,
    Layout,
    MotionModel,
    Paste,
    Playback,
    Retarget,
    Statement,
    Watermark,
)
from animate.options.live import Live
from animate.options.preparation import Preparation, Wanted
from animate.options.run import RENAMED, Options, groups
from animate.options.serve import LOOPBACK, Serve
from animate.options.training import DRAWN, Augment, Data, Optim, Recipe, Training

__all__ = [
    "DRAWN",
    "INSTEAD",
    "LOOPBACK",
    "RENAMED",
    "Augment",
    "Compute",
    "Data",
    "Evaluation",
    "EvaluationFolders",
    "Faces",
    "Label",
    "Layout",
    "Live",
    "MotionModel",
    "Optim",
    "Options",
    "Paste",
    "Playback",
    "Preparation",
    "Recipe",
    "Retarget",
    "Serve",
    "Statement",
    "Training",
    "Wanted",
    "Watermark",
    "groups",
    "settings_of",
]
