"""``torch.nn.utils.rnn``: padding of sequences on either side, and undoing it."""

from __future__ import annotations

from collections import abc
from typing import List

import torch
from torch import Tensor

from ..._shim import SHIMS, Limit, polyfill
from ..._torch import at_most, exporting
from ..._torchscript import compile_instead

__all__ = ["pad_sequence", "unpack_sequence", "unpad_sequence"]

UNPAD = "https://github.com/pytorch/pytorch/issues/66549"


@polyfill(
    "torch.nn.utils.rnn.pad_sequence",
    since="2.5",
    link="https://github.com/pytorch/pytorch/pull/131884",
    limits=[
        Limit("onnx", "torch.onnx.export by TorchScript (dynamo=False) refuses it, as torch's own", "fallback", "1.9"),
        Limit(
            "onnx-lengths",
            "what torch.onnx.export makes of it runs for sequences of the exported lengths only",
            "fallback",
            last="1.3",
        ),
    ],
    reason="no `padding_side`",
)
def pad_sequence(
    sequences: torch.Tensor | list[torch.Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> torch.Tensor:
    """Sequences of various lengths as one tensor.

    In torch since 2.5. Fallback: torch's own, on reversed sequences for the left side. Torch has the name since 1.2,
    for lists and for the right side.

    Args:
        sequences: an iterable of tensors ``(length, *)`` that agree but for the length, or one tensor
            ``(B, length, *)``.
        batch_first: the batch is the first dimension of the result, not the second.
        padding_value: what stands where a sequence has nothing.
        padding_side: ``"right"``, after each sequence, or ``"left"``, before it.

    Returns:
        ``(T, B, *)``, or ``(B, T, *)`` with *batch_first*, of the first sequence's dtype and device; T is the greatest
        length.

    Raises:
        RuntimeError: *sequences* is no iterable, or empty, or they do not agree; or *padding_side* is another string.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pad_sequence.html
    """
    if not isinstance(sequences, (abc.Iterable, torch.Tensor)):
        raise RuntimeError(f"sequences must be an iterable of tensors, got {type(sequences).__name__}")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"padding_side must be 'left' or 'right', got {padding_side!r}")
    listed = list(sequences)
    if not listed:
        raise RuntimeError("sequences must hold at least one tensor, got none")
    if at_most(1, 7) and exporting():
        return _padded_for_onnx(listed, batch_first, padding_value, padding_side)
    if padding_side == "right":
        return torch.nn.utils.rnn.pad_sequence(listed, batch_first, padding_value)
    turned = [sequence.flip(0) for sequence in listed]
    padded = torch.nn.utils.rnn.pad_sequence(turned, batch_first, padding_value)
    return padded.flip(1 if batch_first else 0)


def _scripted(
    sequences: List[Tensor],  # noqa: UP006
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    if padding_side == "right":
        return torch.nn.utils.rnn.pad_sequence(sequences, batch_first, padding_value)
    if padding_side != "left":
        raise RuntimeError("padding_side must be 'left' or 'right'")
    turned = [sequence.flip([0]) for sequence in sequences]
    padded = torch.nn.utils.rnn.pad_sequence(turned, batch_first, padding_value)
    return padded.flip([1]) if batch_first else padded.flip([0])


compile_instead(SHIMS["nn.utils.rnn.pad_sequence"].fallback, _scripted)


def _padded_for_onnx(
    sequences: list[torch.Tensor], batch_first: bool, padding_value: float, padding_side: str
) -> torch.Tensor:
    """Torch's own writes into a tensor in place, which exporters up to 1.5 leave out, and that of 1.6 refuses."""
    longest = max(sequences, key=lambda sequence: int(sequence.size(0)))
    padded = []
    for sequence in sequences:
        rest = torch.full_like(longest[sequence.size(0) :], padding_value)
        padded.append(torch.cat([sequence, rest] if padding_side == "right" else [rest, sequence]))
    return torch.stack(padded, 0 if batch_first else 1)


@polyfill(
    "torch.nn.utils.rnn.unpad_sequence",
    since="1.11",
    link=UNPAD,
    limits=[Limit("lengths", "takes fewer lengths than sequences, and forgets the others", "native", "1.11", "2.9")],
)
def unpad_sequence(
    padded_sequences: torch.Tensor, lengths: torch.Tensor, batch_first: bool = False
) -> list[torch.Tensor]:
    """The sequences of a padded tensor, without what follows them.

    In torch since 1.11. Fallback: picks from each sequence the places below its length. Unless *batch_first*, the first
    two dimensions of *padded_sequences* are exchanged in place, as in torch.

    Args:
        padded_sequences: ``(T, B, *)``, or ``(B, T, *)`` with *batch_first*, padded on the right.
        lengths: ``(B,)``, of integers.
        batch_first: the batch is the first dimension, not the second.

    Returns:
        A list of B tensors ``(length, *)``.

    Raises:
        ValueError: *lengths* has not B elements.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.unpad_sequence.html
    """
    if not batch_first:
        padded_sequences.transpose_(0, 1)
    if len(lengths) != len(padded_sequences):
        raise ValueError(
            f"lengths must have one element for each of the {len(padded_sequences)} sequences, got {len(lengths)}"
        )
    places = torch.arange(padded_sequences.size(1), device=lengths.device)
    return [sequence[places < length] for sequence, length in zip(padded_sequences, lengths)]


@polyfill("torch.nn.utils.rnn.unpack_sequence", since="1.11", link=UNPAD)
def unpack_sequence(packed_sequences: torch.nn.utils.rnn.PackedSequence) -> list[torch.Tensor]:
    """The sequences of a PackedSequence, in the order in which they were packed.

    In torch since 1.11. Fallback: pads by ``pad_packed_sequence``, and cuts each sequence at its length.

    Args:
        packed_sequences: a :class:`torch.nn.utils.rnn.PackedSequence`.

    Returns:
        A list of tensors ``(length, *)``.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.unpack_sequence.html
    """
    padded, lengths = torch.nn.utils.rnn.pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
