"""Finds the protocol's golden vectors and its machine-readable description.

The specification lies beside the project, in the folder that SUPERCHAT_SPEC names or else in
``../shared/spec``. Where neither exists, the copies of the vectors in ``tests/vectors`` serve.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COPIES = ROOT / "tests" / "vectors"


def folder() -> Path | None:
    """The folder of the specification, or None where only the project is at hand."""
    named = os.environ.get("SUPERCHAT_SPEC")
    candidate = Path(named) if named else ROOT.parent / "shared" / "spec"
    return candidate if candidate.is_dir() else None


def vectors(name: str) -> list[dict[str, Any]]:
    """The vectors in ``name``, such as ``wire_vectors.jsonl``."""
    text = ((folder() or COPIES) / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def description() -> dict[str, Any] | None:
    """The contents of wire.json, or None where it is not at hand."""
    found = folder()
    return json.loads((found / "wire.json").read_text(encoding="utf-8")) if found else None
