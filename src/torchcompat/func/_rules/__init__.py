"""The batching rules, by kind of operation. Importing a module registers its rules; see ``_batched``."""

from . import _attributes as _attributes
from . import _norms as _norms
from . import _pointwise as _pointwise
from . import _reductions as _reductions
