"""What is painted into a photo has the photo's light; an ordinary photo is left as it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_mouth import mouth
from torch import Tensor
from torch.nn import functional as F

from animate.faces import Box, mesh
from animate.faces.paste import Paster, Spot
from animate.models.first_order_gated.light import Light, cast, luma
from animate.models.first_order_gated.model import FirstOrderGated
from animate.models.geometry import inside
from animate.options import Paste

SIDE = 128
SKIN = (0.78, 0.6, 0.52)
LAMPS = {  # gain and black
    "magenta": ((1.0, 0.35, 1.0), (0.0, 0.0, 0.0)),
    "blue": ((0.3, 0.45, 1.0), (0.0, 0.0, 0.0)),
    "green": ((0.35, 0.9, 0.4), (0.0, 0.0, 0.0)),
    "red": ((1.0, 0.3, 0.3), (0.0, 0.0, 0.0)),
    "a magenta veil": ((0.55, 0.55, 0.55), (0.45, 0.0, 0.45)),
}


def colour(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def face_of(skin: tuple[float, float, float] = SKIN) -> tuple[Tensor, Tensor]:
    """A face with red lips and open eyes before a dark and light ground, and its points."""
    point = mouth(0.0)
    for rim, x in zip(mesh.OPENINGS[1:], (-0.18, 0.18), strict=True):
        turn = torch.arange(8) * (torch.pi / 4)
        eye = torch.stack([x + 0.08 * turn.cos(), -0.15 - 0.05 * turn.sin()], -1)
        point[0, list(rim)] = eye
    noise = torch.rand(1, 1, SIDE // 4, SIDE // 4, generator=torch.Generator().manual_seed(4))
    ground = F.interpolate(noise, SIDE, mode="bilinear").expand(-1, 3, -1, -1)
    face = inside(1.1 * point[:, list(mesh.RIM)], SIDE, SIDE)[:, None]
    ground = ground * (torch.linspace(-1, 1, SIDE)[:, None] > -0.8)  # black above
    photo = torch.lerp(ground, colour(skin) * (0.9 + 0.2 * ground), face)
    z = torch.linspace(-1, 1, SIDE)
    lips = ((z / 0.2).square() + ((z[:, None] - 0.3) / 0.06).square() < 1).float()
    photo = torch.lerp(photo, colour((0.7, 0.35, 0.35)), lips)
    eyes = inside(point[0, list(mesh.OPENINGS[1:])], SIDE, SIDE).amax(0)
    photo = torch.lerp(photo, colour((0.85, 0.84, 0.82)), eyes)
    return photo.clamp(0, 1), point


def painter(size: int = SIDE) -> FirstOrderGated:
    """An untrained model that paints in all colours."""
    torch.manual_seed(0)
    model = FirstOrderGated(size=size).eval()
    torch.nn.init.normal_(model.synthesis.paint.weight, std=0.3)
    torch.nn.init.normal_(model.mouth.colour.weight, std=1.0)
    return model


@pytest.mark.parametrize("skin", [SKIN, (0.35, 0.22, 0.17), (0.95, 0.85, 0.8), (0.55, 0.4, 0.25)])
def test_ordinary_light_changes_nothing(skin: tuple[float, float, float]) -> None:
    photo, point = face_of(skin)
    assert Light.of(photo, point) is None


@pytest.mark.parametrize("name", LAMPS)
def test_a_lamps_colour_is_found_on_the_skin(name: str) -> None:
    gain, black = map(colour, LAMPS[name])
    photo, point = face_of()
    shot = photo * gain + black
    light = Light.of(shot, point)
    assert light is not None
    torch.testing.assert_close(light.gain / light.gain.max(), gain / gain.max(), atol=0.12, rtol=0)
    torch.testing.assert_close(light.black, black, atol=0.06, rtol=0)
    plain = light.to_ordinary(shot)
    torch.testing.assert_close(light.to_photo(plain, plain), shot, atol=1e-5, rtol=0)
    white = light.to_photo(torch.ones_like(plain), plain)  # no whiter than white in the photo
    assert (white[0, :, 0, 0] < (gain + black).flatten() + 0.15).all()


def test_a_face_that_is_painted_has_ordinary_teeth() -> None:
    """The whites of its eyes show that it's not the light."""
    green = (0.3, 0.6, 0.25)
    photo, point = face_of(green)
    assert (cast(photo, point)[0] == 1).all()


def test_a_mask_over_half_the_face_is_no_light() -> None:
    photo, point = face_of()
    below = torch.linspace(-1, 1, SIDE)[:, None] > -0.02
    photo = torch.where(below, colour((0.3, 0.6, 0.95)), photo)
    assert (cast(photo, point)[0] == 1).all()


def inked(photo: Tensor, name: str) -> Tensor:
    """A photo in one ink."""
    level = luma(photo)[:, None]
    if name == "grey":
        return level.expand_as(photo)
    if name == "sepia":
        return (level * colour((1.05, 0.95, 0.75)) + colour((0.06, 0.03, 0.0))).clamp(0, 1)
    return torch.cat([level**2, 0.1 + 0.8 * level, 0.3 + 0.6 * level], 1)  # a blueprint


@pytest.mark.parametrize("name", ["grey", "sepia", "blueprint"])
@torch.inference_mode()
def test_a_photo_of_one_ink_is_painted_with_that_ink(name: str) -> None:
    photo, point = face_of()
    shot = inked(photo, name)
    light = Light.of(shot, point)
    assert light is not None
    assert light.ink is not None
    plain = light.to_ordinary(shot)
    paint = torch.rand(photo.shape, generator=torch.Generator().manual_seed(5))
    face = inside(point[:, list(mesh.RIM)], SIDE, SIDE) > 0
    image = light.to_photo(torch.lerp(plain, paint, 0.5 * face), plain)
    levels = torch.linspace(0.1, 0.9, 200).view(1, 1, 1, -1).expand(1, 3, 1, 200)
    line = inked(levels, name)[0, :, 0].T  # (200, 3)
    off = torch.cdist(image[0].flatten(1).T, line).amin(1)
    shown = luma(shot)[face]
    known = face & (luma(image) > shown.quantile(0.02)) & (luma(image) < shown.quantile(0.98))
    assert known.float().mean() > 0.05
    assert off[known.flatten()].max() < 0.04
    if name == "grey":
        assert (image.amax(1) == image.amin(1)).all()
    torch.testing.assert_close(light.to_photo(plain, plain), shot, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_frames_of_a_grey_photo_are_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (photo, point) = painter(), face_of()
    tracked = model.track(photo)
    for gap in (0.0, 1.0):
        poses = replace(tracked, point=mouth(gap))
        monkeypatch.setattr(model, "track", lambda frames: replace(tracked, point=point))
        coloured = model.render(model.encode(photo), poses)
        grey = model.render(model.encode(inked(photo, "grey")), poses)
        assert (coloured.amax(1) - coloured.amin(1)).max() > 0.2
        assert (grey.amax(1) == grey.amin(1)).all()


def test_what_is_not_the_face_keeps_its_colours() -> None:
    """A grey face on a coloured ground."""
    photo, point = face_of()
    grey = inked(photo, "grey").clone()
    grey[..., :10] = colour((0.8, 0.2, 0.1))
    light = Light.of(grey, point)
    assert light is not None
    assert light.ink is not None
    torch.testing.assert_close(light.to_photo(grey, grey), grey, atol=1e-6, rtol=0)


def test_pasting_gives_a_grey_photo_no_tint() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8)
    photo, still, crop = (
        np.repeat(np.kron(g, np.ones((6, 6), np.uint8))[..., None], 3, 2) for g in grey
    )
    for part in (crop, still):
        pasted = Paster([Spot(Box(8, 8, 70), still, photo.shape, Paste())], photo)([part])
        assert (pasted.max(2) == pasted.min(2)).all()
