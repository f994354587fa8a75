"""Will torch run this encoder as one fused operator? Ask, instead of guessing.

python examples/why_not_fastpath.py
"""

import torch

from torchcompat import nn
from torchcompat.attention import why_not_fastpath


def ask(situation, encoder, x):
    """Print the answer for one situation."""
    reasons = why_not_fastpath(encoder, x)
    print(f"{situation}: {'fused' if not reasons else 'not fused, since'}")
    for reason in reasons:
        print("  -", reason)


def main():
    """Ask about one encoder in four situations."""
    layer = nn.TransformerEncoderLayer(d_model=64, nhead=4, batch_first=True)
    encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
    x = torch.randn(8, 16, 64)
    print(f"torch {torch.__version__}")
    ask("in training", encoder, x)
    encoder.eval()
    ask("in evaluation, with gradients", encoder, x)
    with torch.no_grad():
        ask("in evaluation, without gradients", encoder, x)
        encoder.layers[1].train()
        ask("the same with the second layer left in training", encoder, x)


if __name__ == "__main__":
    main()
