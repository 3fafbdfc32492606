import pytest
import torch

from kernels.cpu import ops


@pytest.fixture(autouse=True)
def registered() -> None:
    ops.register()


def test_registering_again_changes_nothing() -> None:
    assert ops.register() is ops.register()


def test_an_operator_that_exists_is_left_alone() -> None:
    library = torch.library.Library(ops.NAMESPACE, "FRAGMENT")
    schema = "greedy_argmax(Tensor logits) -> Tensor"
    ops._define(library, schema, lambda logits: logits + 1)
    assert torch.ops._C.greedy_argmax(torch.tensor([[0.0, 2.0]])).tolist() == [1]


@pytest.mark.parametrize("bias", [None, torch.randn(5)])
@pytest.mark.parametrize("tokens", [0, 1, 7])
def test_a_packed_weight_is_a_linear_layer(tokens: int, bias: torch.Tensor | None) -> None:
    weight, x = torch.randn(5, 32, dtype=torch.bfloat16), torch.randn(tokens, 32, dtype=torch.bfloat16)
    out = torch.empty(tokens, 5, dtype=torch.bfloat16)
    torch.ops._C.weight_packed_linear(out, x, torch.ops._C.convert_weight_packed(weight), bias, True)
    exact = x.double() @ weight.double().T
    size = x.double().abs() @ weight.double().abs().T
    if bias is not None:
        exact, size = exact + bias, size + bias.abs()
    assert ((out.double() - exact).abs() <= 2 * torch.finfo(torch.bfloat16).eps * size).all()
