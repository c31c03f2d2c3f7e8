"""The processes that work on one run: what they tell each other, and what happens when one is lost.

Everything here does nothing, or hands back what it was given, where a process is alone. Nothing is pickled: tensors
and bytes travel, and nothing else.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from xpronet.data.dataset import Shard
from xpronet.errors import InputError, ProcessLostError
from xpronet.launch import Launch, read_launch
from xpronet.model.checkpoint import best_device

PATIENCE = timedelta(hours=12)
"""How long processes wait for one that makes prototypes or scores reports; one that dies is noticed at once."""

BUCKET = 1 << 23
"""Values of gradients that are added up in one go."""

TOLD = "told"
"""Set in the store by a process that ends with a message of its own."""

SECONDS_TO_ANSWER = 2.0
"""How long survivors wait for each other before they say who is lost."""


@dataclass(frozen=True, kw_only=True)
class DistributedContext:
    """This process among all that work on the run."""

    launch: Launch = field(default_factory=Launch)
    """Which one it is."""
    device: torch.device
    """Where it computes."""
    store: Store | None = None
    """Where survivors of a loss find each other."""

    @property
    def rank(self) -> int:
        """Return the number of this process, from 0."""
        return self.launch.rank

    @property
    def count(self) -> int:
        """Return how many there are."""
        return self.launch.count

    @property
    def is_main(self) -> bool:
        """Say whether this is the one that writes files and speaks to the user."""
        return self.rank == 0

    @property
    def part(self) -> Shard:
        """Return this process's part of whatever all share."""
        return Shard(number=self.rank, of=self.count)

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.add([0.0])

    def add(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all processes, of few numbers and without touching the device."""
        if self.count == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        with self._together():
            distributed.all_reduce(sums)
        return [float(value) for value in sums]

    def any(self, value: bool) -> bool:
        """Say whether it holds in any process."""
        return self.add([float(value)])[0] > 0

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the sum over all processes in place of each gradient."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            self.add_tensor(flat)
            parts = torch.split(flat, [gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view(gradient.shape))

    def add_tensor(self, tensor: Tensor) -> None:
        """Put the sum over all processes in place of a tensor that has the same shape in all."""
        if self.count > 1:
            with self._together():
                distributed.all_reduce(tensor)

    def stack(self, tensor: Tensor) -> Tensor:
        """Return every process's tensor, of the same shape in all, one after the other along a new first axis."""
        if self.count == 1:
            return tensor[None]
        everyone = [torch.empty_like(tensor) for _ in range(self.count)]
        with self._together():
            distributed.all_gather(everyone, tensor)
        return torch.stack(everyone)

    def gather(self, rows: Tensor) -> list[Tensor]:
        """Return every process's rows, in the order of processes; each may have another number of them.

        Without gradient; `gather_learning` has one.
        """
        if self.count == 1:
            return [rows]
        sizes = [int(size) for size in self.stack(torch.tensor(len(rows), device=rows.device))]
        padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
        padded[: len(rows)] = rows.detach()
        return [part[:size] for part, size in zip(self.stack(padded), sizes, strict=True)]

    def gather_learning(self, rows: Tensor) -> Tensor:
        """Return every process's rows as one tensor; the gradient of each row is the sum over all processes."""
        if self.count == 1:
            return rows
        whole: Tensor = _Gather.apply(rows, self)  # type: ignore[no-untyped-call]
        return whole

    def gather_values(self, values: Any) -> list[Any]:
        """Return every process's JSON values, in the order of processes."""
        encoded = json.dumps(values, ensure_ascii=False).encode()
        rows = torch.frombuffer(bytearray(encoded), dtype=torch.uint8)
        return [json.loads(bytes(part.numpy())) for part in self.gather(rows)]

    def from_main(self, values: Any) -> Any:
        """Return the JSON values that the main process gave; what the others give is ignored."""
        return self.gather_values(values if self.is_main else None)[0]

    def copy_from_main(self, tensors: Iterable[Tensor]) -> None:
        """Fill tensors, of the same shapes in all processes, with the main process's values."""
        if self.count == 1:
            return
        for tensor in tensors:
            with torch.no_grad(), self._together():
                # A copy in plain order: a tensor in another memory format could not be sent as it lies.
                plain = tensor.detach().contiguous().clone()
                distributed.broadcast(plain, src=0)
                tensor.copy_(plain)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Say which process is lost when working together fails."""
        try:
            yield
        except RuntimeError as error:
            raise ProcessLostError(self._lost(error)) from error

    def _lost(self, error: RuntimeError) -> str:
        """Ask who is still there; the first of them says who is not, the others keep silent."""
        assert self.store is not None
        try:
            self.store.set(f"survivor {self.rank}", "1")
            time.sleep(SECONDS_TO_ANSWER)
            told = self.store.check([TOLD])
            alive = [rank for rank in range(self.count) if self.store.check([f"survivor {rank}"])]
        except RuntimeError:
            return f"{self.launch} lost the others ({str(error).splitlines()[0]})"
        if told or self.rank != alive[0]:
            return ""
        lost = [str(rank) for rank in range(self.count) if rank not in alive]
        if not lost:
            return f"the processes lost each other ({str(error).splitlines()[0]})"
        names = f"process {lost[0]}" if len(lost) == 1 else f"processes {', '.join(lost)}"
        return f"{names} of {self.count} ended before the work was done"


@contextmanager
def start_distributed() -> Iterator[DistributedContext]:
    """Join the other processes that torchrun started, and leave them in order; alone where there are none.

    Raises:
        InputError: there are more processes on this machine than GPUs.
    """
    launch = read_launch()
    if launch.count == 1:
        yield DistributedContext(device=best_device())
        return
    device, backend = torch.device("cpu"), "gloo"
    if torch.cuda.is_available():
        if launch.local_rank >= torch.cuda.device_count():
            raise InputError(
                f"torchrun started process {launch.local_rank} on a machine with {torch.cuda.device_count()} GPUs; "
                f"lower --nproc-per-node, or hide the GPUs with CUDA_VISIBLE_DEVICES= to compute on the CPU"
            )
        device, backend = torch.device("cuda", launch.local_rank), "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(device)
    store, rank, count = next(rendezvous("env://", timeout=PATIENCE))
    distributed.init_process_group(
        backend, store=PrefixStore("work", store), rank=rank, world_size=count, timeout=PATIENCE
    )
    processes = DistributedContext(launch=launch, device=device, store=store)
    try:
        yield processes
        # None leaves while another still talks to it.
        processes.wait()
    except InputError:
        # The user's mistake is told where it was met; the others need not tell of this process's end as well.
        store.set(TOLD, "1")
        raise
    finally:
        distributed.destroy_process_group()


class _Gather(torch.autograd.Function):
    """All rows on the way forth; on the way back each process gets the sum of the gradients of its own rows."""

    @staticmethod
    def forward(context: Any, rows: Tensor, processes: DistributedContext) -> Tensor:
        parts = processes.gather(rows)
        context.processes = processes
        context.sizes = [len(part) for part in parts]
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        whole = gradient.contiguous().clone()
        context.processes.add_tensor(whole)
        own = torch.split(whole, context.sizes)[context.processes.rank]
        return own, None


def _buckets(gradients: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        bucket.append(gradient)
        size += gradient.numel()
        if size >= BUCKET:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket
