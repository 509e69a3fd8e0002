import concurrent.futures
import contextlib
import socket
import threading
import time

import pytest

from tf_diffaug.training import meeting
from tf_diffaug.training.meeting import meet
from tf_diffaug.training.workers import Worker
from tools.launch_local import free_ports

NOWHERE = "no.such.host.invalid:2222"


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(meeting, "_TRY_EVERY", 0.01)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def workers():
    """Three that may start on this machine."""
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(3))
    return [Worker(index, addresses) for index in range(3)]


@contextlib.contextmanager
def answering(address, answer):
    """A program that says something to whoever connects."""
    host, port = address.split(":")
    with socket.create_server((host, int(port))) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(answer)
                        connection.recv(64)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_all_meet_also_one_that_comes_late(workers):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        early = [pool.submit(meet, worker, within=60) for worker in workers[:2]]
        time.sleep(0.2)
        assert not any(call.done() for call in early)
        meet(workers[2], within=60)
        for call in early:
            call.result()
    for worker in workers:  # TensorFlow may have the ports now
        host, port = worker.addresses[worker.index].split(":")
        socket.create_server((host, int(port))).close()


def test_one_alone_waits_for_nobody(workers):
    meet(Worker(0, workers[0].addresses[:1]), within=0)


def test_those_that_do_not_come_are_named_and_no_others(workers):
    _, there, missing = workers[0].addresses
    with concurrent.futures.ThreadPoolExecutor() as pool:
        other = pool.submit(meet, workers[1], within=2)
        with pytest.raises(ValueError, match="no worker of this run") as caught:
            meet(workers[0], within=1)
        with pytest.raises(ValueError, match="no worker of this run"):
            other.result()
    text = str(caught.value)
    assert text.endswith(f"Received: {missing} (Connection refused).")
    assert "After 1 seconds" in text
    assert there not in text


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.6\r\n", b"", b"tf_diffaug worker 1 of 2\n", b"tf_diffaug worker 2 of 3\n"],
)
def test_another_program_or_worker_at_an_address_is_not_the_one(workers, answer):
    worker = Worker(0, workers[0].addresses[:2])
    with answering(worker.addresses[1], answer), pytest.raises(ValueError) as caught:
        meet(worker, within=0.1)
    assert f"{worker.addresses[1]} (another program answers)" in str(caught.value)


def test_one_that_does_not_find_this_one_is_named(workers):
    worker = Worker(0, workers[0].addresses[:2])
    answer = b"tf_diffaug worker 2 of 2\n"
    with answering(worker.addresses[1], answer), pytest.raises(ValueError) as caught:
        meet(worker, within=0.1)
    assert f"{worker.addresses[1]} (it has not reached this one)" in str(caught.value)


def test_what_is_no_greeting_is_passed_over(workers):
    worker = workers[0]
    host, port = worker.addresses[0].split(":")
    with meeting._Listener(worker) as listener:
        for said in (b"\0" * 1000, b"tf_diffaug worker 9 of 3\n", b"tf_diffaug worker 2 of 3\n"):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(said)
                assert connection.makefile("rb").readline() == b"tf_diffaug worker 1 of 3\n"
    assert listener.heard == {1}


def test_whom_it_waits_for_is_said_now_and_then(workers, monkeypatch, caplog):
    monkeypatch.setattr(meeting, "_TELL_EVERY", 0.0)
    with pytest.raises(ValueError):
        meet(Worker(0, workers[0].addresses[:2]), within=0.1)
    line = f"Still waiting for {workers[0].addresses[1]} (Connection refused)."
    assert line in caplog.messages


def test_a_host_that_is_not_known_is_named_at_once(workers):
    worker = Worker(0, (workers[0].addresses[0], NOWHERE))
    with pytest.raises(ValueError, match=r"host that is not known .*Received: no\.such\.host"):
        meet(worker)


def test_a_pod_may_be_known_later(workers, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    own = workers[0].addresses[0]
    with pytest.raises(ValueError, match=r"no worker of this run .*Received: no\.such\.host"):
        meet(Worker(0, (own, NOWHERE)), within=0.1)
    with pytest.raises(ValueError, match="host that is not known"):
        meet(Worker(1, (own, NOWHERE)), within=0.1)
    looked_up = [OSError("not yet"), OSError("not yet")]
    look_up = meeting._look_up
    monkeypatch.setattr(
        meeting, "_look_up", lambda a: raised(looked_up.pop()) if looked_up else look_up(a)
    )
    meet(Worker(0, (own,)), within=60)


def raised(error):
    raise error


def test_an_address_that_is_taken_is_named(workers):
    address = workers[0].addresses[0]
    host, port = address.split(":")
    with (
        socket.create_server((host, int(port))),
        pytest.raises(ValueError, match=f"cannot listen .*Received: {address}"),
    ):
        meet(Worker(0, (address,)))


def test_an_address_of_another_machine_is_named():
    with pytest.raises(ValueError, match="cannot listen"):
        meet(Worker(0, ("192.0.2.1:2222",)))  # for documentation, RFC 5737
