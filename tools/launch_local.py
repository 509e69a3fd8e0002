"""Starts several workers of one training run on this machine.

    python tools/launch_local.py 2 -- --policy=color,translation,cutout --steps=200

What follows the number goes to `train`, whose `--strategy` is then `multi_worker`. The lines of
each worker begin with its number. A signal to this process goes to all of them; its exit code is
the first one's that is not 0.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workers", type=int, help="how many")
    parser.add_argument("flags", nargs="*", help="of train, after --")
    arguments = parser.parse_args()
    if arguments.workers < 1:
        parser.error(f"one worker or more. Received: {arguments.workers}.")
    workers = start(arguments.workers, arguments.flags, stdout=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: [w.send_signal(number) for w in workers])
    readers = [threading.Thread(target=_pass_on, args=pair) for pair in enumerate(workers, 1)]
    for reader in readers:
        reader.start()
    codes = [worker.wait() for worker in workers]
    for reader in readers:
        reader.join()
    return next((code if code > 0 else 128 - code for code in codes if code), 0)


def start(count: int, flags: list[str], **options: Any) -> list[subprocess.Popen]:
    """Starts the processes of a run, the chief first; `options` are `subprocess.Popen`'s."""
    return spawn(count, ["tf_diffaug", "train", *flags, "--strategy=multi_worker"], **options)


def spawn(count: int, module: list[str], **options: Any) -> list[subprocess.Popen]:
    """Starts so many processes of a module of Python, with its arguments, as workers."""
    environment = options.pop("env", os.environ)
    command = [sys.executable, "-m", *module]
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    return [
        subprocess.Popen(
            command,
            stderr=subprocess.STDOUT,
            text=True,
            # A signal of the terminal reaches them by way of this process alone.
            start_new_session=True,
            env={**environment, "TF_CONFIG": _config(addresses, index)},
            **options,
        )
        for index in range(count)
    ]


def _config(addresses: list[str], index: int) -> str:
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def _pass_on(number: int, worker: subprocess.Popen) -> None:
    for line in worker.stdout:
        print(f"{number}: {line}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
