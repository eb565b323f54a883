"""``python -m tensorflow_lite_bp``: the same as ``tflbp``."""

from __future__ import annotations

import sys

from tensorflow_lite_bp.cli import main

if __name__ == "__main__":
    sys.exit(main())
