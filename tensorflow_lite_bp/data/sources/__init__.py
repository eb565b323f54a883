"""All sources: a file in this folder is found by itself."""

from tensorflow_lite_bp.declare import import_all

import_all(__name__, __path__)
