"""vmap of what looks at strides, offsets and sizes in memory: a sample looks as if it began where the batch does."""

import pytest
import torch
from vmap_laws import assert_same, check

from torchcompat import at_least

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning"),
]


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64)


def without_vmap(function, *args):
    """What an old torch lacks cannot be tested there."""
    try:
        function(*args)
    except (AttributeError, RuntimeError, TypeError) as error:
        if at_least(2, 0):
            raise
        pytest.skip(f"not in this torch, without vmap either: {str(error)[:100]}")


STRIDED = {
    "offset": lambda x: x.as_strided((2,), (1,), 1),
    "offset 0": lambda x: x.as_strided((2, 2), (3, 1), 0),
    "no offset": lambda x: x.as_strided((2, 2), (1, 2)),
    "by name": lambda x: torch.as_strided(x, size=(2,), stride=(2,), storage_offset=1),
    "overlap": lambda x: x.as_strided((3, 3), (1, 1), 1),
    "repeated": lambda x: x.as_strided((3,), (0,), 4),
    "no dimensions": lambda x: x.as_strided((), (), 4),
    "no elements": lambda x: x.as_strided((0,), (1,), 1),
    "of a view": lambda x: x[1].as_strided((2,), (1,), x[1].storage_offset() + 1),
    "of a transposed view": lambda x: x.t().as_strided((2,), (1,), 3),
}


@pytest.mark.parametrize("case", sorted(STRIDED))
def test_as_strided(impl, case):
    # Each sample of a copy of the batch is a copy of the sample: so the plain loop has the same offsets.
    check(impl, lambda x: STRIDED[case](x.clone()), normal(4, 2, 3), nested=True)


@pytest.mark.limit("as_strided")
@pytest.mark.parametrize("case", sorted(STRIDED))
def test_as_strided_of_the_argument(impl, case):
    x = normal(4, 2, 3)
    expected = torch.stack([STRIDED[case](sample.clone()) for sample in x])
    if case in ("no offset", "no elements", "of a view"):
        assert_same(impl(STRIDED[case])(x), expected)
        pytest.skip("says no absolute offset, so that the limit does not matter")
    assert_same(impl(STRIDED[case])(x), expected)
    assert_same(impl(impl(STRIDED[case]))(x.unsqueeze(0)), expected.unsqueeze(0))


def test_as_strided_in_memory_that_begins_elsewhere(impl):
    whole = torch.arange(40.0)
    batch = whole[5:29].reshape(4, 6)
    found = impl(lambda x: x.as_strided((2, 2), (2, 1), x.storage_offset() + 1))(batch)
    assert_same(found, batch[:, 1:5].reshape(4, 2, 2))
    columns = whole[5:29].reshape(6, 4)
    found = impl(lambda x: x.as_strided((2,), (4,), x.storage_offset() + 8), in_dims=1)(columns)
    assert_same(found, columns.t()[:, 2:4])


@pytest.mark.limit("as_strided")
def test_a_write_through_as_strided(impl):
    x = torch.zeros(3, 4)
    impl(lambda x: x.as_strided((2,), (2,), 1).fill_(1))(x)
    assert_same(x, torch.tensor([[0.0, 1, 0, 1]] * 3))


@pytest.mark.limit("as_strided")
def test_as_strided_beyond_the_sample_is_refused(impl):
    x = normal(4, 2, 3)
    for arguments in [((7,), (1,)), ((2,), (1,), 5), ((2, 2), (6, 1), 0), ((2,), (6,))]:
        with pytest.raises(RuntimeError):
            impl(lambda x, arguments=arguments: x.as_strided(*arguments))(x)
    with pytest.raises(RuntimeError):
        impl(lambda x: x.as_strided((2,), (1,), 0))(normal(5, 2, 3)[1:])


@pytest.mark.limit("as_strided")
def test_storage_offset(impl):
    offsets = []
    impl(lambda x: offsets.extend([x.storage_offset(), x[1].storage_offset()]) or x)(normal(5, 2, 3)[1:])
    assert offsets == [6, 9]


@pytest.mark.limit("as_strided_copy")
def test_as_strided_copy(impl):
    without_vmap(lambda: torch.as_strided_copy(torch.zeros(3), (2,), (1,), 1))
    check(impl, lambda x: torch.as_strided_copy(x.clone(), (2, 2), (2, 1), 1), normal(4, 2, 3), nested=True)


@pytest.mark.limit("no_rule")
def test_as_strided_scatter(impl):
    without_vmap(lambda: torch.as_strided_scatter(torch.zeros(3), torch.ones(2), (2,), (1,), 1))

    def scatter(x, y):
        return torch.as_strided_scatter(x.clone(), y, (2,), (3,), 1)

    # torch's own gradient reads memory that nobody has written to, on 1.13 and 2.15.
    check(impl, scatter, normal(4, 2, 3), normal(4, 2), nested=True, gradient=False)
    check(impl, scatter, normal(4, 2, 3), normal(2), in_dims=(0, None), gradient=False)
    check(impl, scatter, normal(2, 3), normal(4, 2), in_dims=(None, 0), gradient=False)
    x, y, weights = normal(4, 2, 3).requires_grad_(), normal(4, 2).requires_grad_(), normal(4, 2, 3)
    for_x, for_y = torch.autograd.grad((impl(scatter)(x, y) * weights).sum(), (x, y))
    kept = torch.tensor([[1.0, 0, 1], [1, 0, 1]], dtype=x.dtype)
    assert_same(for_x, weights * kept)
    assert_same(for_y, weights[:, :, 1])


@pytest.mark.parametrize("size", [(6,), (3, 2), (2, 3), (1, 6)])
def test_resize_to_another_shape(impl, size):
    x = normal(4, 2, 3)
    expected = x.clone().reshape((4,) + size)
    assert_same(impl(lambda x: x.clone().resize_(*size))(x), expected)
    assert_same(impl(lambda x: x.clone().resize_(size))(x), expected)


@pytest.mark.limit("resize_")
def test_resize_to_less(impl):
    x = normal(4, 2, 3)
    for size in [(2,), (2, 2), (0,), ()]:
        count = torch.Size(size).numel()
        found = impl(lambda x, size=size: x.clone().resize_(size))(x)
        assert_same(found, x.reshape(4, 6)[:, :count].reshape((4,) + size))
    template = normal(3, 2)
    assert_same(impl(lambda x: x.clone().resize_as_(template))(x), x.reshape(4, 3, 2))


@pytest.mark.limit("control_flow")
@pytest.mark.parametrize("name", ["data_ptr", "storage"])
def test_memory_of_its_own_is_refused(impl, name):
    with pytest.raises((RuntimeError, NotImplementedError)):
        impl(lambda x: getattr(x, name)() and x)(normal(1, 2))


# --- other views: what a sample of a batch gives is what a plain slice gives

VIEWS = {
    "unfold": lambda x: x.unfold(1, 2, 1),
    "unfold of a number": lambda x: x[0, 0].unfold(0, 1, 1),
    "view_as_real": lambda x: torch.view_as_real(torch.view_as_complex(x.reshape(3, 2))),
    "real": lambda x: torch.view_as_complex(x.reshape(3, 2)).real,
    "imag": lambda x: torch.view_as_complex(x.reshape(3, 2)).imag,
}


@pytest.mark.parametrize("case", sorted(VIEWS))
def test_views(impl, case):
    check(impl, VIEWS[case], normal(4, 2, 3), nested=True)


def test_new_empty_strided(impl):
    without_vmap(lambda: torch.zeros(3).new_empty_strided((2,), (1,)))
    strides = []

    def function(x):
        new = x.new_empty_strided((2, 3), (5, 1))
        strides.append(new.stride())
        return new.copy_(x)

    x = normal(4, 2, 3)
    assert_same(impl(function)(x), x)
    assert_same(impl(impl(function))(x.reshape(2, 2, 2, 3)), x.reshape(2, 2, 2, 3))
    assert set(strides) == {(5, 1)}


def test_whether_a_sample_is_contiguous(impl):
    answers = []

    def note(x):
        answers.append(x.is_contiguous())
        return x

    impl(note)(normal(4, 2, 3))
    impl(note)(normal(4, 3, 2).transpose(1, 2))
    impl(note, in_dims=1)(normal(2, 4, 3).transpose(0, 1).contiguous().transpose(0, 1))
    impl(note, in_dims=2)(normal(2, 3, 4))
    assert set(answers[: len(answers) // 4]) == {True}
    assert answers == [value for value in (True, False, True, False) for _ in range(len(answers) // 4)]


def test_what_is_handed_through_is_the_argument(impl):
    x = normal(4, 2)
    for function in (lambda x: x, lambda x: x.contiguous(), lambda x: x.add_(1)):
        assert impl(function)(x) is x or not at_least(1, 7)


@pytest.mark.limit("copied")
@pytest.mark.limit("copied_before")
def test_a_copy_by_the_constructor(impl):
    x = normal(4, 2, 3)
    assert_same(impl(lambda x: torch.tensor(x) * 2)(x), x * 2)


def test_a_list_of_tensors(impl):
    vectors = normal(4, 3), normal(4, 2)
    for number in (0, 1):
        check(impl, lambda a, b, number=number: torch.meshgrid([a, b], **INDEXING)[number], *vectors, nested=True)
        check(impl, lambda a, b, number=number: torch.meshgrid((a, b), **INDEXING)[number], *vectors)
        check(impl, lambda a, b, number=number: torch.meshgrid(a, b, **INDEXING)[number], *vectors)
    check(impl, lambda a: torch.meshgrid([a, a], **INDEXING)[0], vectors[0])
    check(impl, lambda a: torch.einsum("i,j->ij", [a, a]), vectors[0])


INDEXING = {"indexing": "xy"} if at_least(1, 10) else {}
