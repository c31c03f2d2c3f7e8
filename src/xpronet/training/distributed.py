"""The processes that train one model together: what they exchange, and what happens when one of them is lost.

In a single process everything here does nothing, or returns what it was given. Nothing is pickled: only tensors and
bytes are exchanged.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch._C._distributed_c10d import FileStore, PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from xpronet.data.dataset import Shard
from xpronet.device import best_device
from xpronet.errors import InputError, ProcessLostError
from xpronet.launch import Launch, read_launch

TIMEOUT = timedelta(hours=12)
"""How long processes wait for one that makes prototypes or scores reports; one that dies is noticed at once."""

FAILED = "failed"
"""Key set in the store by a process that ends with an error message of its own."""

BUCKET_MIB = 4
"""Gradients that are added up at a time: few enough that most of them travel during the backward pass."""

SECONDS_TO_ANSWER = 2.0
"""How long surviving processes wait for each other before they name the one that is lost."""


@dataclass(frozen=True, kw_only=True)
class DistributedContext:
    """This process among all that work on the run."""

    launch: Launch = field(default_factory=Launch)
    """Its rank and their number."""
    device: torch.device
    """The device it computes on."""
    store: Store | None = None
    """Key-value store in which the survivors of a failure find each other."""

    def __deepcopy__(self, memo: dict[int, object]) -> "DistributedContext":
        # A copied network (for generation, after each epoch) works among the same processes.
        return self

    @property
    def rank(self) -> int:
        """Return the number of this process, from 0."""
        return self.launch.rank

    @property
    def count(self) -> int:
        """Return the number of processes."""
        return self.launch.count

    @property
    def is_main(self) -> bool:
        """Return whether this process writes the files and the messages."""
        return self.rank == 0

    @property
    def shard(self) -> Shard:
        """Return this process's share of whatever is divided among all."""
        return Shard(number=self.rank, of=self.count)

    def barrier(self) -> None:
        """Wait until all processes have arrived here."""
        self.sum([0.0])

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums of a few numbers over all processes; the device is not used."""
        if self.count == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        with self.naming_the_lost():
            distributed.all_reduce(sums)
        return [float(value) for value in sums]

    def any(self, value: bool) -> bool:
        """Return whether the value is true in any process."""
        return self.sum([float(value)])[0] > 0

    def sum_tensor(self, tensor: Tensor) -> None:
        """Replace a tensor, of the same shape in all processes, by its sum over them."""
        if self.count > 1:
            with self.naming_the_lost():
                distributed.all_reduce(tensor)

    def stack(self, tensor: Tensor) -> Tensor:
        """Return the tensors of all processes, of one shape, stacked along a new first axis."""
        if self.count == 1:
            return tensor[None]
        all_tensors = [torch.empty_like(tensor) for _ in range(self.count)]
        with self.naming_the_lost():
            distributed.all_gather(all_tensors, tensor)
        return torch.stack(all_tensors)

    def gather(self, rows: Tensor) -> list[Tensor]:
        """Return the rows of all processes, in the order of their ranks; each may have another number of rows.

        Without gradient; `gather_with_gradient` has one.
        """
        if self.count == 1:
            return [rows]
        sizes = [int(size) for size in self.stack(torch.tensor(len(rows), device=rows.device))]
        padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
        padded[: len(rows)] = rows.detach()
        return [part[:size] for part, size in zip(self.stack(padded), sizes, strict=True)]

    def gather_with_gradient(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes as one tensor; the gradient of a row is summed over all processes."""
        if self.count == 1:
            return rows
        whole: Tensor = _Gather.apply(rows, self)  # type: ignore[no-untyped-call]
        return whole

    def gather_values(self, values: Any) -> list[Any]:
        """Return the JSON values of all processes, in the order of their ranks."""
        encoded = json.dumps(values, ensure_ascii=False).encode()
        rows = torch.frombuffer(bytearray(encoded), dtype=torch.uint8)
        return [json.loads(bytes(part.numpy())) for part in self.gather(rows)]

    def broadcast_values(self, values: Any) -> Any:
        """Return the JSON values that the main process gives; those of the others are ignored."""
        return self.gather_values(values if self.is_main else None)[0]

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Fill tensors, of the same shapes in all processes, with the values of the main process."""
        if self.count == 1:
            return
        for tensor in tensors:
            with torch.no_grad(), self.naming_the_lost():
                # A contiguous copy: a tensor in another memory format could not be sent as it is.
                plain = tensor.detach().contiguous().clone()
                distributed.broadcast(plain, src=0)
                tensor.copy_(plain)

    def parallelize(self, network: nn.Module) -> nn.Module:
        """Return the network for the forward pass: its gradients will be the sums over all processes.

        All processes begin with the weights and buffers of the main one.
        """
        if self.count == 1:
            return network
        with self.naming_the_lost():
            parallel = DistributedDataParallel(
                network, forward_sync_buffers=False, gradient_as_bucket_view=True, bucket_cap_mb=BUCKET_MIB
            )
        # Each process's loss is its share of the batch's, so that gradients are added up, not averaged.
        parallel.register_comm_hook(None, _sum_gradients)
        return parallel

    @contextmanager
    def while_others_wait(self) -> Iterator[None]:
        """Compute with the threads of all processes that a command started, while the others wait for the main one."""
        threads = torch.get_num_threads()
        if self.launch.meeting:
            torch.set_num_threads(threads * self.count)
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    @contextmanager
    def naming_the_lost(self) -> Iterator[None]:
        """Turn the failure of an exchange into a line that names the process that is lost.

        Raises:
            ProcessLostError: a process has ended.
        """
        try:
            yield
        except (ProcessLostError, torch.OutOfMemoryError):
            raise
        except RuntimeError as error:
            if self.count == 1:
                raise
            raise ProcessLostError(self._lost(error)) from error

    def _lost(self, error: RuntimeError) -> str:
        """Find out who is left; the first of them names the lost, the others return an empty message."""
        assert self.store is not None
        try:
            self.store.set(f"survivor {self.rank}", "1")
            time.sleep(SECONDS_TO_ANSWER)
            failed = self.store.check([FAILED])
            alive = [rank for rank in range(self.count) if self.store.check([f"survivor {rank}"])]
        except RuntimeError:
            return f"{self.launch} lost the others ({str(error).splitlines()[0]})"
        if failed or self.rank != alive[0]:
            return ""
        lost = [str(rank) for rank in range(self.count) if rank not in alive]
        if not lost:
            return f"the processes lost each other ({str(error).splitlines()[0]})"
        names = f"process {lost[0]}" if len(lost) == 1 else f"processes {', '.join(lost)}"
        return f"{names} of {self.count} ended before the work was done"


@contextmanager
def start_distributed(launch: Launch | None = None) -> Iterator[DistributedContext]:
    """Join the other processes that work on the same, and leave them in order; a process that has none stays alone.

    Args:
        launch: this process's place; by default as torchrun, or the command that started this process, says.

    Raises:
        InputError: there are more processes on this machine than GPUs.
    """
    launch = launch or read_launch()
    if launch.count == 1:
        yield DistributedContext(device=best_device())
        return
    device, backend = torch.device("cpu"), "gloo"
    if best_device().type == "cuda" and not launch.meeting:
        if launch.local_rank >= torch.cuda.device_count():
            raise InputError(
                f"torchrun started process {launch.local_rank} on a machine with {torch.cuda.device_count()} GPUs; "
                "lower --nproc-per-node, or hide the GPUs with CUDA_VISIBLE_DEVICES= to compute on the CPU"
            )
        device, backend = torch.device("cuda", launch.local_rank), "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(device)
    store = _meet(launch)
    distributed.init_process_group(
        backend, store=PrefixStore("work", store), rank=launch.rank, world_size=launch.count, timeout=TIMEOUT
    )
    context = DistributedContext(launch=launch, device=device, store=store)
    try:
        yield context
        # No process leaves while another still exchanges something with it.
        context.barrier()
    except InputError:
        # The message is printed where the mistake was met; the others need not report the end of this process as well.
        store.set(FAILED, "1")
        raise
    finally:
        distributed.destroy_process_group()


def _meet(launch: Launch) -> Store:
    """Return the store in which the processes find each other's addresses."""
    if not launch.meeting:
        store, _, _ = next(rendezvous("env://", timeout=TIMEOUT))
        return store
    # All are on this machine: nothing listens where other machines could reach it.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    store = FileStore(launch.meeting, launch.count)
    store.set_timeout(TIMEOUT)
    return store


def _sum_gradients(_: None, bucket: distributed.GradBucket) -> torch.futures.Future[Tensor]:
    """Add up a bucket of gradients over all processes."""
    work = distributed.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda future: future.value()[0])


class _Gather(torch.autograd.Function):
    """Forward: the rows of all processes. Backward: the sum over all processes of the gradients of the own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, context: DistributedContext) -> Tensor:
        parts = context.gather(rows)
        ctx.context = context
        ctx.sizes = [len(part) for part in parts]
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        whole = gradient.contiguous().clone()
        ctx.context.sum_tensor(whole)
        own = torch.split(whole, ctx.sizes)[ctx.context.rank]
        return own, None
