"""Several workers find each other, before TensorFlow waits for them.

TensorFlow's own wait for a worker that never comes takes an hour (`kDefaultClusterRegisterTimeout`
of its coordination service), in which it says nothing and hears no signal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import socketserver
import threading
import time

from tf_diffaug.training.workers import Worker

_log = logging.getLogger(__name__)

# Seconds in which the last worker must have been started.
WITHIN = 600.0
# Seconds between two lines on whom this worker waits for, and between two tries to reach one.
_TELL_EVERY = 30.0
_TRY_EVERY = 0.5
# Seconds that one try may take.
_PATIENCE = 2.0
_LONGEST_GREETING = 64
# The last two of an address that is none.
_WRONG = (OSError, OverflowError, UnicodeError)


def meet(worker: Worker, *, within: float = WITHIN) -> None:
    """Waits until all workers have reached each other, each at its address.

    Who is waited for is logged every half a minute. A host name that is not known is an error at
    once, but in a pod of Kubernetes: there names come to be known when their pods have started.

    Args:
        worker: which of them this one is.
        within: seconds after which those that are missing are an error.

    Raises:
        ValueError: naming the address at which this worker cannot listen, or no other was reached.
    """
    until = time.monotonic() + within
    _await_names(worker, until)
    with _Listener(worker) as listener:
        tell = time.monotonic() + _TELL_EVERY
        reached: set[int] = set()
        while missing := _missing(worker, reached, listener.heard):
            if time.monotonic() > until:
                raise ValueError(
                    f"After {_spoken(within)} there is no worker of this run at an address that "
                    "TF_CONFIG names: start the same command there, or mend the address. "
                    f"Received: {_listed(missing)}."
                )
            if time.monotonic() > tell:
                tell += _TELL_EVERY
                _log.warning("Still waiting for %s.", _listed(missing))
            time.sleep(_TRY_EVERY)


def _await_names(worker: Worker, until: float) -> None:
    patient = "KUBERNETES_SERVICE_HOST" in os.environ  # set in every container of a pod
    # Its own says on which kind of network it listens.
    for address in [worker.addresses[worker.index]] if patient else worker.addresses:
        while reason := _unknown_host(address):
            if not patient or time.monotonic() > until:
                raise ValueError(
                    f"TF_CONFIG names a host that is not known ({reason}). Received: {address}."
                )
            time.sleep(_TRY_EVERY)


def _unknown_host(address: str) -> str | None:
    """Why the name of a host is not known; None if it is."""
    try:
        _look_up(address)
    except _WRONG as error:
        return _reason(error)
    return None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _look_up(address: str) -> tuple:
    host, port = address.rsplit(":", 1)
    return socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]


def _missing(worker: Worker, reached: set[int], heard: set[int]) -> dict[str, str]:
    """Tries those that were not reached yet; why, by the address, some have not been met."""
    reasons = {}
    for index, address in enumerate(worker.addresses):
        if index == worker.index:
            continue
        if index not in reached:
            if reason := _reach(worker, index):
                reasons[address] = reason
                continue
            reached.add(index)
        if index not in heard:
            reasons[address] = "it has not reached this one"
    return reasons


def _reach(worker: Worker, index: int) -> str | None:
    """Greets another worker; returns why that one did not answer, None if it did."""
    try:
        family, kind, protocol, _, place = _look_up(worker.addresses[index])
        with socket.socket(family, kind, protocol) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect(place)
            connection.sendall(_greeting(worker, worker.index))
            with connection.makefile("rb") as answer:
                answered = answer.readline(_LONGEST_GREETING)
    except _WRONG as error:
        return _reason(error)
    return None if answered == _greeting(worker, index) else "another program answers"


def _greeting(worker: Worker, index: int) -> bytes:
    return f"tf_diffaug worker {index + 1} of {len(worker.addresses)}\n".encode()


class _Listener:
    """Answers the others at this worker's port, and notes who they were."""

    def __init__(self, worker: Worker) -> None:
        self.heard: set[int] = set()
        heard = self.heard
        known = {_greeting(worker, index): index for index in range(len(worker.addresses))}

        class Answer(socketserver.StreamRequestHandler):
            timeout = _PATIENCE

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # a worker tries again, and others do not matter
                    self.wfile.write(_greeting(worker, worker.index))
                    said = self.rfile.readline(_LONGEST_GREETING)
                    if said in known:
                        heard.add(known[said])

        address = worker.addresses[worker.index]
        self._server = _serve(address, Answer)

    def __enter__(self) -> _Listener:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _serve(address: str, answer: type) -> socketserver.ThreadingTCPServer:
    """A server at the port of an address, once it is sure that the address is this machine's.

    It listens on all of the machine's addresses, as TensorFlow will.
    """
    family, kind, protocol, _, place = _look_up(address)

    class Server(socketserver.ThreadingTCPServer):
        address_family = family
        allow_reuse_address = True

    try:
        with socket.socket(family, kind, protocol) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own.bind(place)
        return Server(("", place[1]), answer)
    except OSError as error:
        raise ValueError(
            f"This worker cannot listen at its address in TF_CONFIG ({error.strerror}). "
            f"Received: {address}."
        ) from error


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:g} seconds"


def _listed(missing: dict[str, str]) -> str:
    return ", ".join(f"{address} ({reason})" for address, reason in missing.items())
