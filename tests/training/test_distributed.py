"""Several processes compute what one does: batch normalisation, loss terms and their gradients."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from xpronet.launch import Launch, read_launch

TOGETHER = """
    import copy
    import sys

    import torch
    from torch import nn

    from xpronet.model.report_model import Outputs
    from xpronet.training.sync_batch_norm import CPUSyncBatchNorm, sync_batch_norm
    from xpronet.training.losses import GlobalBatch, LossSettings, losses
    from xpronet.training.distributed import start_distributed

    torch.manual_seed(0)
    with start_distributed() as context:
        shard = context.shard
        assert context.count == 3
        assert context.gather_values([context.rank, "é"]) == [[0, "é"], [1, "é"], [2, "é"]]
        assert context.broadcast_values(str(context.rank)) == "0"
        assert context.sum([1.0, context.rank]) == [3.0, 3.0]
        tensor = torch.full((2, 3), float(context.rank)).t()
        context.broadcast([tensor])
        assert tensor.eq(0).all()

        # Batch normalisation: 2, 3 and 3 images of 8; then 0, 0 and 1.
        for size in (8, 1):
            alone = nn.Sequential(nn.BatchNorm2d(4))
            nn.init.normal_(alone[0].weight)
            shared = copy.deepcopy(alone)
            sync_batch_norm(shared, context)
            assert isinstance(shared[0], CPUSyncBatchNorm)
            parallel = context.parallelize(shared)
            assert list(shared.state_dict()) == list(alone.state_dict())
            features, weights = 3 * torch.randn(size, 4, 5, 5) + 7, torch.randn(size, 4, 5, 5)
            rows = list(shard.rows(size))
            one, mine = features.clone().requires_grad_(), features[rows].requires_grad_()
            for _ in range(2):
                expected, got = alone(one), parallel(mine)
            (expected * weights).sum().backward()
            (got * weights[rows]).sum().backward()
            torch.testing.assert_close(got, expected[rows], atol=2e-5, rtol=1e-5)
            torch.testing.assert_close(mine.grad, one.grad[rows], atol=2e-5, rtol=1e-5)
            for first, second in zip(shared.parameters(), alone.parameters()):
                torch.testing.assert_close(first.grad, second.grad, atol=5e-5, rtol=1e-5)
            for first, second in zip(shared.buffers(), alone.buffers()):
                torch.testing.assert_close(first, second)

        # Losses: 5 studies on 3 processes, then 2 on 3, so that one has none.
        for size in (5, 2):
            findings = torch.rand(size, 14) < 0.3
            targets = torch.randint(0, 9, (size, 6))
            mask = torch.arange(6) < torch.randint(1, 7, (size, 1))
            regions = torch.ones(size, 4, dtype=torch.bool)
            shapes = ((6, 9), (4, 8), (6, 8), (14,))
            whole_tensors = [torch.randn(size, *shape) for shape in shapes]
            rows = list(shard.rows(size))
            for settings in (LossSettings(), LossSettings(words_per="report", text_mean="positions")):
                one = [tensor.clone().requires_grad_() for tensor in whole_tensors]
                mine = [tensor[rows].requires_grad_() for tensor in whole_tensors]
                expected = losses(Outputs(*one[:3], regions, one[3]), targets, mask, findings, settings)
                got = losses(
                    Outputs(*mine[:3], regions[rows], mine[3]), targets[rows], mask[rows], findings[rows], settings,
                    GlobalBatch(studies=size, words=int(mask.sum()), context=context),
                )
                sums = context.sum([float(term) for term in got.by_name().values()])
                whole = torch.stack([*expected.by_name().values()]).detach()
                torch.testing.assert_close(torch.tensor(sums), whole, check_dtype=False)
                expected.total.backward()
                got.total.backward()
                for first, second in zip(mine, one):
                    torch.testing.assert_close(first.grad, second.grad[rows])
        if context.is_main:
            sys.stdout.write("all equal")
"""


@pytest.mark.long
@pytest.mark.slow
def test_three_processes_compute_what_one_does(tmp_path: Path) -> None:
    script = tmp_path / "together.py"
    script.write_text(textwrap.dedent(TOGETHER))
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3")
    done = subprocess.run([*torchrun, script], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "all equal" in done.stdout


def test_a_process_without_torchrun_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TORCHELASTIC")]:
        monkeypatch.delenv(name)
    # A batch system may set RANK for reasons of its own.
    monkeypatch.setenv("RANK", "3")
    assert read_launch() == Launch()
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert str(read_launch()) == "process 3 of 4"
