"""The only reader of the environment.

Every knob of the product is a field here; its environment variable is `COMICS_` + the field's name in capitals, except
the three everybody knows: `DATABASE_URL`, `REDIS_URL` and `READ`. `settings()` reads once per process.
"""

import os
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from shared.errors import Reject

ReadMode = Literal["full", "boxes", "off"]
PLAIN_NAMES = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL", "read": "READ"}


class Settings(BaseModel):
    """Configuration of one process; immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(default_factory=lambda: _default_home(), description="data folder of a standalone installation")
    database_url: str | None = Field(None, description="PostgreSQL; unset: an embedded one inside `home`")
    redis_url: str | None = Field(None, description="Redis; unset: an embedded one inside `home`")
    storage_url: str | None = Field(None, description="blobs and segments: folder or s3://bucket/prefix; unset: `home`")
    host: str = Field("127.0.0.1", description="address the standalone API listens on")
    port: int = Field(8000, description="port of the standalone API; 0 picks a free one")
    flower_port: int = Field(5555, description="port of Flower; 0 picks a free one")
    api_token: SecretStr | None = Field(None, description="when set, every call needs `Authorization: Bearer …`")
    server: str = Field("http://127.0.0.1:8000", description="where the command line finds the API")

    read: ReadMode = Field("full", description="OCR of whole pages, of detected text boxes only, or off")
    direction: Literal["ltr", "rtl", "auto"] = Field("auto", description="reading direction where the comic says none")
    detector: Path | None = Field(None, description="folder of a detector checkpoint; unset: the shipped one")
    encoder: Path | None = Field(None, description="folder of an encoder checkpoint; unset: the shipped one")
    text_model: str | None = Field(None, description="text model for the encoder, hub name or folder; unset: none")
    device: str = Field("auto", description="torch device of detect and embed: auto, cpu, cuda, cuda:1 …")

    vlm_url: str | None = Field(
        None, description="OpenAI-compatible base URL, for example https://openrouter.ai/api/v1"
    )
    vlm_model: str | None = Field(None, description="model name the VLM server knows")
    vlm_api_key: SecretStr | None = Field(None, description="key of the VLM server")
    vlm_budget: Decimal | None = Field(None, description="USD the extract stage may spend; unset: nothing is asked")
    vlm_prompt_price: Decimal | None = Field(None, description="USD per million prompt tokens, if the server is silent")
    vlm_completion_price: Decimal | None = Field(None, description="USD per million completion tokens, likewise")
    vlm_concurrency: int = Field(8, ge=1, le=256, description="VLM calls in flight per io task")
    vlm_timeout: float = Field(120.0, gt=0, description="seconds one VLM call may take")

    library: str | None = Field(
        None, description="folders whose comics may be read where they are (`comics add --reference`), ':' between them"
    )
    pdf_pixels: int = Field(4_000_000, ge=250_000, le=64_000_000, description="pixels of a drawn PDF page, about")
    cache_limit: int = Field(4 << 30, ge=0, description="bytes of pages and small pictures kept for reading again")
    decoder_memory: int = Field(3 << 30, description="bytes a child that decodes strangers' files may take")
    decoder_seconds: float = Field(120.0, gt=0, description="seconds it may take over one page")
    upload_limit: int = Field(8 << 30, description="bytes of one uploaded comic")
    cpu_workers: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 2) - 1), ge=1)
    io_workers: int = Field(2, ge=1, description="processes of the io queue")
    lease: float = Field(60.0, gt=0, description="seconds a claimed job stays ours without a heartbeat")
    heartbeat: float = Field(20.0, gt=0, description="seconds between renewals of a lease")
    sweep: float = Field(15.0, gt=0, description="seconds between sweeps")
    visibility: int = Field(3600, description="seconds after which Celery repeats an unanswered message; harmless")

    @property
    def library_folders(self) -> list[Path]:
        """Where originals may be read in place; absolute."""
        return [Path(part).expanduser().absolute() for part in (self.library or "").split(os.pathsep) if part]

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for child processes; `read_settings` of it gives them back."""
        given = {}
        for name in sorted(self.model_fields_set):
            value = getattr(self, name)
            if value is not None:
                given[variable(name)] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        return given

    @property
    def vlm_configured(self) -> bool:
        """Whether the paid stage may run at all: an engine and a budget are set."""
        return bool(self.vlm_url and self.vlm_model and self.vlm_budget is not None)


def _default_home() -> Path:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # PostgreSQL refuses to run as root and its own user must be able to reach its files, so never below /root.
        return Path("/var/lib/comics")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "comics"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PLAIN_NAMES.get(name, f"COMICS_{name.upper()}")


def unconfigured(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without any of our settings."""
    ours = {variable(name) for name in Settings.model_fields}
    return {name: value for name, value in environment.items() if name not in ours}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from a mapping of environment variables; `Reject` names the variable that is wrong."""
    found: dict[str, str] = {}
    for name in Settings.model_fields:
        value = environment.get(variable(name))
        if value is not None and value != "":
            found[name] = value
    try:
        return Settings.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise Reject(f"{variable(str(first['loc'][0]))} is not usable: {first['msg']}") from error


@cache
def settings() -> Settings:
    """The settings of this process."""
    return read_settings(os.environ)
