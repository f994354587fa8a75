# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch.export import AdditionalInputs as AdditionalInputs
from torch.export import Constraint as Constraint
from torch.export import CustomDecompTable as CustomDecompTable
from torch.export import Dim as Dim
from torch.export import ExportGraphSignature as ExportGraphSignature
from torch.export import ExportedProgram as ExportedProgram
from torch.export import FlatArgsAdapter as FlatArgsAdapter
from torch.export import ModuleCallEntry as ModuleCallEntry
from torch.export import ModuleCallSignature as ModuleCallSignature
from torch.export import ShapesCollection as ShapesCollection
from torch.export import UnflattenedModule as UnflattenedModule
from torch.export import default_decompositions as default_decompositions
from torch.export import dims as dims
from torch.export import draft_export as draft_export
from torch.export import export as export
from torch.export import load as load
from torch.export import register_dataclass as register_dataclass
from torch.export import save as save
from torch.export import unflatten as unflatten

__all__ = ['AdditionalInputs', 'Constraint', 'CustomDecompTable', 'Dim', 'ExportGraphSignature', 'ExportedProgram', 'FlatArgsAdapter', 'ModuleCallEntry', 'ModuleCallSignature', 'ShapesCollection', 'UnflattenedModule', 'default_decompositions', 'dims', 'draft_export', 'export', 'load', 'register_dataclass', 'save', 'unflatten']
