"""The classifier: what a text says, in one forward pass.

ModelError        the classifier cannot work; items wait until it can
+-- ModelMissing  a file of the model is not there
+-- ModelDamaged  a file is not the one that was shipped
"""

from triage.classifier.reader import (
    ModelDamaged,
    ModelError,
    ModelMissing,
    Reader,
    Reading,
    get_reader,
)
from triage.classifier.texts import Text

__all__ = [
    "ModelDamaged",
    "ModelError",
    "ModelMissing",
    "Reader",
    "Reading",
    "Text",
    "get_reader",
]
