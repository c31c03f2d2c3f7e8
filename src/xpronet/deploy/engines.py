"""Engines that run exported graphs, from named input arrays to output arrays."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from xpronet.deploy.exported_folder import Exported
from xpronet.errors import InputError

EngineName = Literal["onnxruntime", "openvino"]
Precision = Literal["fp32", "bf16"]

READS = {"onnxruntime": ("onnx",), "openvino": ("openvino", "onnx")}
"""The formats that each engine reads."""
PREFERRED: dict[str, EngineName] = {"onnx": "onnxruntime", "openvino": "openvino"}
"""The default engine for each format."""
EXTRA = {"onnxruntime": "onnx", "openvino": "openvino"}
"""The optional dependency that each engine needs."""


@runtime_checkable
class Engine(Protocol):
    """Runs the graphs of one exported folder; each graph is loaded when it is first needed."""

    def run(self, graph: str, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return a graph's outputs in order; arrays that are not among its inputs are ignored."""
        ...


def make_engine(exported: Exported, name: EngineName, *, threads: int, precision: Precision = "fp32") -> Engine:
    """Return an engine for an exported folder.

    Args:
        exported: the folder.
        name: of the engine.
        threads: to compute with.
        precision: arithmetic of matrix products and convolutions.

    Raises:
        InputError: the engine is not installed, cannot read the folder's format or lacks the precision.
    """
    if exported.format not in READS[name]:
        raise InputError(
            f"{exported.folder}: exported as {exported.format}, which {name} does not read; leave out --runtime, or "
            "export it again with --to onnx"
        )
    if find_spec(name) is None:
        raise InputError(f"{name} is not installed: pip install 'xpronet[{EXTRA[name]}]'")
    if name == "onnxruntime":
        if precision != "fp32":
            raise InputError(f"--precision {precision}: onnxruntime supports fp32 alone; use openvino or torch")
        return OnnxRuntime(exported, threads)
    return OpenVino(exported, threads, precision)


class OnnxRuntime:
    """ONNX Runtime on the CPU."""

    def __init__(self, exported: Exported, threads: int) -> None:
        """Prepare the engine without loading a graph."""
        self._exported = exported
        self._threads = threads
        self._sessions: dict[str, Any] = {}

    def run(self, graph: str, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return a graph's outputs in order."""
        if graph not in self._sessions:
            self._sessions[graph] = self._load(self._exported.graph_file(graph))
        session, inputs = self._sessions[graph]
        outputs: list[np.ndarray] = session.run(None, {name: arrays[name] for name in inputs})
        return outputs

    def _load(self, path: Path) -> tuple[Any, list[str]]:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as failures

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        broken = (
            failures.Fail,
            failures.InvalidArgument,
            failures.InvalidGraph,
            failures.InvalidProtobuf,
            failures.NoSuchFile,
        )
        try:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except broken as error:
            raise InputError(f"{path}: not a complete ONNX graph ({error}); export it again") from None
        return session, [value.name for value in session.get_inputs()]


class OpenVino:
    """OpenVINO on the CPU."""

    def __init__(self, exported: Exported, threads: int, precision: Precision) -> None:
        """Prepare the engine without loading a graph."""
        import openvino

        self._exported = exported
        self._core = openvino.Core()
        self._config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": str(threads),
            # By default it computes in bfloat16 if the CPU supports it.
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            # The kernels that it generates for chains of element-wise layers give wrong results once a cache that grows
            # with each call exceeds 16 words (seen in 2026.4).
            "SNIPPETS_MODE": "DISABLE",
        }
        self._requests: dict[str, Any] = {}

    def run(self, graph: str, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return a graph's outputs in order."""
        if graph not in self._requests:
            self._requests[graph] = self._load(self._exported.graph_file(graph))
        request, inputs, outputs = self._requests[graph]
        results = request.infer({name: arrays[name] for name in inputs}, share_inputs=True)
        return [results[output] for output in outputs]

    def _load(self, path: Path) -> tuple[Any, list[str], list[Any]]:
        try:
            compiled = self._core.compile_model(path, "CPU", self._config)
        except RuntimeError as error:
            [*_, reason] = str(error).strip().splitlines()
            raise InputError(f"{path}: not a complete OpenVINO graph ({reason}); export it again") from None
        names = [value.get_any_name() for value in compiled.inputs]
        return compiled.create_infer_request(), names, list(compiled.outputs)
