"""Loads TensorFlow without the notices it writes before anyone can turn them off."""

from __future__ import annotations

import os
import sys
import tempfile

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_tensorflow() -> None:
    """Imports TensorFlow; its notices are kept back unless the import fails.

    TensorFlow 2.16 and later write to file descriptor 2 from C++ whatever the log level. Who sets
    TF_CPP_MIN_LOG_LEVEL sees everything.
    """
    if LOG_LEVEL in os.environ:
        return
    os.environ[LOG_LEVEL] = "3"
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as notices:
        os.dup2(notices.fileno(), 2)
        try:
            import tensorflow as tf

            # The runtime has its say only now. Several workers must first agree on how they speak.
            if "TF_CONFIG" not in os.environ:
                tf.constant(0)
        except BaseException:
            notices.seek(0)
            os.write(stderr, notices.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
