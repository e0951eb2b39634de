"""The starter encoder with a text branch: shipped picture and layout weights joined with a configured text model."""

import hashlib
import shutil
from pathlib import Path

from shared.errors import Reject
from shared.nn.encoder import build_encoder, load_encoder, save_encoder
from shared.nn.encoder_config import TextConfig


def text_branch_folder(shipped: Path, models: Path, *, text_model: str) -> Path:
    """A folder in `models` with `shipped` and `text_model` joined; made once for each pair, so that its hash stays."""
    mark = hashlib.sha256((shipped / "config.json").read_bytes() + text_model.encode()).hexdigest()[:16]
    folder = models / f"encoder-{mark}"
    if not folder.exists():
        draft = folder.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        add_text_branch(shipped, draft, text_model=text_model)
        draft.replace(folder)
    return folder


def add_text_branch(shipped: Path, out: Path, *, text_model: str) -> None:
    """Save into `out` the encoder of `shipped` with `text_model` (hub name or folder) as its text branch.

    Errors: Reject when the text model cannot be loaded, or the shipped encoder has a text branch already.
    """
    starter = load_encoder(shipped)
    if starter.config.text is not None:
        raise Reject("The encoder has a text branch of its own; unset COMICS_TEXT_MODEL.")
    config = starter.config.model_copy(update={"text": TextConfig(backbone=text_model)})
    encoder = build_encoder(config)
    missing, unexpected = encoder.net.load_state_dict(starter.net.state_dict(), strict=False)
    if unexpected or any("text" not in name.split(".") for name in missing):
        raise Reject(f"The encoder in {shipped.name} does not fit its configuration.")
    save_encoder(out, encoder, about={"starter": starter.fingerprint, "text_model": text_model})
