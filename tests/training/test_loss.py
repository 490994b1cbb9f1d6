"""The chunked nats are torch's cross entropy, in value and gradient, across the seams of its chunks; both objectives are their formulas."""

import pytest
import torch
from torch.nn import functional

from promptcot.engines.protocol import PairExample, Tokens
from promptcot.training.loss import ROWS, TokenNll, collate
from promptcot.training.objectives import Preference


@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 5])
def test_the_chunked_loss_is_cross_entropy(rows: int) -> None:
    torch.manual_seed(rows)
    logits = (3 * torch.randn(rows, 17)).requires_grad_()
    targets, weights = torch.randint(0, 17, (rows,)), torch.rand(rows)

    ours = 0.3 * (weights * TokenNll.apply(logits, targets)).sum()
    theirs = 0.3 * (weights * functional.cross_entropy(logits, targets, reduction="none")).sum()

    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits))


def test_the_preference_is_minus_log_sigmoid_of_the_margin_over_the_reference() -> None:
    """m = 0.5 ((-2 - -3) - (-4 - -7)) = -1; -log sigmoid(-1) = log(1 + e) = 1.3132616875, d/dm = -1 / (1 + e^-1) = -0.7310585786."""
    pair = PairExample("a", Tokens((1,), ((2,),)), Tokens((1,), ((3,),)), (-3.0, -7.0), weight=2.0)
    nll = torch.tensor([2.0, 4.0], dtype=torch.float64, requires_grad=True)

    total, margins = Preference(0.5).total(nll, collate([pair]))

    assert margins.tolist() == [-1.0]
    assert total.item() == pytest.approx(2 * 1.3132616875, abs=1e-9)
    (gradient,) = torch.autograd.grad(total, nll)
    assert gradient.tolist() == pytest.approx([2 * 0.5 * 0.7310585786, -2 * 0.5 * 0.7310585786], abs=1e-9)
