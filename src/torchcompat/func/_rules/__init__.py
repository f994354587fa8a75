"""The batching rules, by kind of operation. Importing a module registers its rules; see ``_batched``."""

from . import _attributes as _attributes
from . import _autograd as _autograd
from . import _elements as _elements
from . import _indexing as _indexing
from . import _joins as _joins
from . import _layers as _layers
from . import _linalg as _linalg
from . import _lists as _lists
from . import _losses as _losses
from . import _memory as _memory
from . import _normalisation as _normalisation
from . import _norms as _norms
from . import _pointwise as _pointwise
from . import _products as _products
from . import _random as _random
from . import _reductions as _reductions
from . import _sequences as _sequences
from . import _shapes as _shapes
