"""Lets Keras find this package's classes as soon as both have been imported.

`keras.models.load_model` knows only classes that are registered, and ours are when their modules
are imported, which takes TensorFlow. `import tf_diffaug` is to stay quick, so that these modules
are imported when somebody imports Keras: at the end of the outermost import of Keras, TensorFlow or
this package that is under way, as none of them is of use half imported.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # They take longer to import than the rest of the package.
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# The packages whose import registers all classes.
_HOMES = ("augment", "layers", "models")


def register_with_keras() -> None:
    """Registers the classes now if Keras is there, else as soon as it is."""
    if "keras" in sys.modules:
        _import_homes()
    else:
        sys.meta_path.insert(0, _Watch())


def _import_homes() -> None:
    # Keras must not fail for what cannot be imported; that says so itself when it is asked for.
    with contextlib.suppress(ImportError):
        for home in _HOMES:
            importlib.import_module(f"{__package__}.{home}")


class _Watch:
    """A finder for `sys.meta_path` that counts the imports under way; the others find."""

    def __init__(self) -> None:
        self._under_way = 0

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in ("keras", "tensorflow") and not fullname.startswith(f"{__package__}."):
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Watched(spec.loader, self.counting)
        return spec

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Around one import."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
        if not self._under_way and "keras" in sys.modules and self in sys.meta_path:
            sys.meta_path.remove(self)
            _import_homes()


class _Watched:
    """Another loader, which is back in its place before it runs the module."""

    def __init__(
        self, loader: Loader, watch: Callable[[], contextlib.AbstractContextManager]
    ) -> None:
        self._loader, self._watch = loader, watch

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = module.__spec__.loader = self._loader
        with self._watch():
            self._loader.exec_module(module)

    def __getattr__(self, name: str) -> object:
        # `python -m` asks the loader for the code, and runs it itself.
        return getattr(self._loader, name)
