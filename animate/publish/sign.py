"""The last step of writing: content credentials over everything that was written before."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from animate.errors import AnimateError, VerificationError
from animate.provenance.certificates import split
from animate.provenance.identity import Signer
from animate.provenance.kinds import kind_of
from animate.provenance.manifest import BESIDE, Ingredient, plain_ingredient, settings
from animate.publish import containers


def sign(
    draft: Path,
    scratch: Path,
    out: Path,
    definition: dict[str, Any],
    ingredients: Sequence[Ingredient],
    signer: Signer,
) -> bytes:
    """Sign the draft, by way of `scratch` where it holds its manifest; the manifest store.

    Works offline: no time stamp is fetched, nothing is looked up.
    """
    import c2pa

    container = containers.of(out)
    kind = (container and container.manifest) or BESIDE
    chain = "".join(split(signer.public.certificates)[:-1] or [signer.public.certificates])
    algorithm = getattr(c2pa.C2paSigningAlg, signer.algorithm.upper())
    with ExitStack() as stack:
        try:
            context = c2pa.Context.from_dict(settings())
            builder = stack.enter_context(c2pa.Builder.from_json(json.dumps(definition), context))
            for ingredient in ingredients:
                _add(builder, ingredient, stack)
            signing = stack.enter_context(
                c2pa.Signer.from_callback(signer.sign, algorithm, chain, None)
            )
            source = stack.enter_context(draft.open("rb"))
            target: Any = io.BytesIO()
            if kind != BESIDE:
                target = stack.enter_context(scratch.open("wb+"))
            manifest = bytes(builder.sign(signing, kind, source, target))
            if kind != BESIDE:
                target.flush()
                os.fsync(target.fileno())
        except c2pa.C2paError as error:
            raise VerificationError(
                f"{out} was not published, it can't be signed ({str(error)[:200]}): check the "
                "key's certificates with `animate keys list`"
            ) from error
    if kind != BESIDE:
        os.replace(scratch, draft)
    return manifest


def _add(builder: Any, ingredient: Ingredient, stack: ExitStack) -> None:
    """Add an input with its manifest, or only its name if that can't be read."""
    import c2pa

    described = plain_ingredient(ingredient)
    if ingredient.path.is_dir():
        stream: Any = io.BytesIO(ingredient.sha256.encode())
        builder.add_ingredient(described, "application/octet-stream", stream)
        return
    kind = kind_of(ingredient.path) or "application/octet-stream"
    try:
        with ingredient.path.open("rb") as stream:
            builder.add_ingredient(described, kind, stream)
    except c2pa.C2paError as error:
        described["description"] += f"; its manifest can't be read ({str(error)[:100]})"
        builder.add_ingredient(described, "application/octet-stream", io.BytesIO(b""))
    except OSError as error:
        raise AnimateError(f"{ingredient.path} can't be read: {error.strerror}") from error
