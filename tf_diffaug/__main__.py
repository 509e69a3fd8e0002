"""`python -m tf_diffaug COMMAND`."""

import sys

from tf_diffaug.commands import main

if __name__ == "__main__":
    sys.exit(main())
