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

    from xpronet.data.dataset import Part
    from xpronet.model.report_model import Outputs
    from xpronet.training.sync_batch_norm import SharedBatchNorm, share_batch_norm
    from xpronet.training.losses import LossSettings, WholeBatch, losses
    from xpronet.training.distributed import start_processes

    torch.manual_seed(0)
    with start_processes() as processes:
        part = Part(number=processes.rank, of=processes.count)
        assert processes.count == 3
        assert processes.gather_values([processes.rank, "é"]) == [[0, "é"], [1, "é"], [2, "é"]]
        assert processes.from_main(str(processes.rank)) == "0"
        assert processes.add([1.0, processes.rank]) == [3.0, 3.0]
        tensor = torch.full((2, 3), float(processes.rank)).t()
        processes.copy_from_main([tensor])
        assert tensor.eq(0).all()

        # Batch normalisation: 2, 3 and 3 images of 8; then 0, 0 and 1.
        for size in (8, 1):
            alone = nn.Sequential(nn.BatchNorm2d(4))
            nn.init.normal_(alone[0].weight)
            shared = copy.deepcopy(alone)
            share_batch_norm(shared, processes)
            assert list(shared.state_dict()) == list(alone.state_dict())
            features, weights = 3 * torch.randn(size, 4, 5, 5) + 7, torch.randn(size, 4, 5, 5)
            rows = list(part.rows(size))
            one, mine = features.clone().requires_grad_(), features[rows].requires_grad_()
            for _ in range(2):
                expected, got = alone(one), shared(mine)
            (expected * weights).sum().backward()
            (got * weights[rows]).sum().backward()
            processes.add_gradients(shared.parameters())
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
            rows = list(part.rows(size))
            for settings in (LossSettings(), LossSettings(words_per="report", text_mean="positions")):
                one = [tensor.clone().requires_grad_() for tensor in whole_tensors]
                mine = [tensor[rows].requires_grad_() for tensor in whole_tensors]
                expected = losses(Outputs(*one[:3], regions, one[3]), targets, mask, findings, settings)
                got = losses(
                    Outputs(*mine[:3], regions[rows], mine[3]), targets[rows], mask[rows], findings[rows], settings,
                    WholeBatch(studies=size, words=int(mask.sum()), processes=processes),
                )
                sums = processes.add([float(term) for term in got])
                torch.testing.assert_close(torch.tensor(sums), torch.stack(expected).detach(), check_dtype=False)
                expected.total.backward()
                got.total.backward()
                for first, second in zip(mine, one):
                    torch.testing.assert_close(first.grad, second.grad[rows])

            # Without gathering: each process's own pairs, as its share of the studies.
            own = losses(
                Outputs(*[tensor[rows] for tensor in whole_tensors[:3]], regions[rows], None),
                targets[rows], mask[rows], findings[rows], LossSettings(gather=False),
                WholeBatch(studies=size, words=int(mask.sum()), processes=processes),
            )
            total = 0.0
            for number in range(processes.count):
                some = list(Part(number=number, of=processes.count).rows(size))
                if some:
                    alone = losses(
                        Outputs(*[tensor[some] for tensor in whole_tensors[:3]], regions[some], None),
                        targets[some], mask[some], findings[some], LossSettings(),
                    )
                    total += float(alone.image_contrast) * len(some) / size
            assert abs(processes.add([float(own.image_contrast)])[0] - total) < 1e-6
        if processes.is_main:
            sys.stdout.write("all equal")
"""


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
