"""Packages that a user may do without."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from tf_diffaug.errors import UserError


def need_packages(what: str, packages: Sequence[str], *, extra: str) -> None:
    """Checks that optional packages are installed.

    Args:
        what: what needs them, for the message.
        packages: their import names.
        extra: the optional dependencies of this package that they are of.

    Raises:
        UserError: with the command that installs them.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{what} needs {' and '.join(missing)}, not installed here: "
            f"pip install 'tf-diffaug[{extra}]'."
        )
