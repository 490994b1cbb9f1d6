"""The chunked loss is torch's cross entropy, in value and gradient, across the seams of its chunks."""

import pytest
import torch
from torch.nn import functional

from promptcot.training.loss import ROWS, WeightedNll


@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 5])
def test_the_chunked_loss_is_cross_entropy(rows: int) -> None:
    torch.manual_seed(rows)
    logits = (3 * torch.randn(rows, 17)).requires_grad_()
    targets, weights = torch.randint(0, 17, (rows,)), torch.rand(rows)

    ours = 0.3 * WeightedNll.apply(logits, targets, weights)
    theirs = 0.3 * (weights * functional.cross_entropy(logits, targets, reduction="none")).sum()

    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits))
