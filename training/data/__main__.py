"""`python training/data DIR`: the command line of the corpus pipeline; see `build.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from data.build import main

if __name__ == '__main__':
    sys.exit(main())
