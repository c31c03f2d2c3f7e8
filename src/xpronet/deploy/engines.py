"""The runtimes that compute exported graphs: named arrays in, arrays out."""

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
"""The engine for each format where none is asked for."""
EXTRA = {"onnxruntime": "onnx", "openvino": "openvino"}
"""What to install for each engine."""


@runtime_checkable
class Engine(Protocol):
    """Computes the graphs of one exported folder; a graph is loaded when it is first needed."""

    def run(self, graph: str, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return a graph's outputs in their order; arrays that the graph has no input for are passed over."""
        ...


def make_engine(exported: Exported, name: EngineName, *, threads: int, precision: Precision = "fp32") -> Engine:
    """Return an engine for an exported folder.

    Args:
        exported: the folder.
        name: which engine.
        threads: how many it computes with.
        precision: arithmetic of matrix products and convolutions.

    Raises:
        InputError: the engine is not installed, cannot read the folder's format or lacks the precision.
    """
    if exported.format not in READS[name]:
        raise InputError(
            f"{exported.folder}: exported for {exported.format}, which {name} does not read; leave --runtime out, or "
            "export it again with --to onnx"
        )
    if find_spec(name) is None:
        raise InputError(f"{name} is not installed: pip install 'xpronet[{EXTRA[name]}]'")
    if name == "onnxruntime":
        if precision != "fp32":
            raise InputError(f"--precision {precision}: onnxruntime computes in fp32 alone; take openvino or torch")
        return OnnxRuntime(exported, threads)
    return OpenVino(exported, threads, precision)


class OnnxRuntime:
    """ONNX Runtime on the CPU."""

    def __init__(self, exported: Exported, threads: int) -> None:
        """Load nothing yet."""
        self._exported = exported
        self._threads = threads
        self._sessions: dict[str, Any] = {}

    def run(self, graph: str, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return a graph's outputs in their order."""
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
            raise InputError(f"{path}: not a whole ONNX graph ({error}); export it again") from None
        return session, [value.name for value in session.get_inputs()]


class OpenVino:
    """OpenVINO on the CPU."""

    def __init__(self, exported: Exported, threads: int, precision: Precision) -> None:
        """Load nothing yet."""
        import openvino

        self._exported = exported
        self._core = openvino.Core()
        self._config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": str(threads),
            # Left to itself it computes in bfloat16 where the CPU has it.
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            # Its generated kernels for chains of element-wise layers give wrong numbers once a cache that grows from
            # call to call passes 16 words (seen in 2026.4).
            "SNIPPETS_MODE": "DISABLE",
        }
        self._requests: dict[str, Any] = {}

    def run(self, graph: str, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return a graph's outputs in their order."""
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
            raise InputError(f"{path}: not a whole graph ({reason}); export it again") from None
        names = [value.get_any_name() for value in compiled.inputs]
        return compiled.create_infer_request(), names, list(compiled.outputs)
