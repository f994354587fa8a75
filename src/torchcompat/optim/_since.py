"""The upstream changes from which on torch's own optimisers meet the contract."""

# Parameters with names.
NAMES = "https://github.com/pytorch/pytorch/pull/134107"
# A learning rate as a tensor of one element that has dimensions.
TENSOR_LR = "https://github.com/pytorch/pytorch/pull/145674"
# Groups that are added to an Adagrad.
LATE_GROUPS = "https://github.com/pytorch/pytorch/issues/53712"
