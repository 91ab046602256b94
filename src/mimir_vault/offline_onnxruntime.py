"""ONNX Runtime, imported with its telemetry off: the one place that imports it.

From 1.28 on it writes a device id and a queue of events to the user's cache at import, and sends them later; only the
environment can stop that, and only before the first import. It also has to come before usearch, which crashes the
process the other way round.
"""

from __future__ import annotations

import os
import sys

if "usearch" in sys.modules and "onnxruntime" not in sys.modules:
    raise ImportError("onnxruntime has to be imported before usearch, or the process dies; import it (or Mimir) first")
for _variable in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"):
    os.environ[_variable] = "1"

import onnxruntime as onnxruntime  # noqa: E402

# If somebody else imported it before us, no further events are queued at least.
if hasattr(onnxruntime, "disable_telemetry_events"):
    onnxruntime.disable_telemetry_events()

__all__ = ["onnxruntime"]
