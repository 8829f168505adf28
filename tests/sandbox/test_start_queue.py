import threading
import time

from app.sandbox.start_queue import StartQueue


def test_no_more_start_at_once_than_there_are_places() -> None:
    queue, lock = StartQueue(2), threading.Lock()
    inside, most, told = 0, 0, []

    def start(name: int) -> None:
        nonlocal inside, most
        with queue.turn(lambda: told.append(name)):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.05)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=start, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2 and inside == 0
    assert len(told) == 4, "who has to wait is told"


def test_one_that_hangs_holds_nobody_up_for_ever() -> None:
    queue = StartQueue(1, patience=0.05)
    with queue.turn(lambda: None):
        began = time.monotonic()
        with queue.turn(lambda: None):
            assert 0.04 < time.monotonic() - began < 5
    with queue.turn(lambda: (_ for _ in ()).throw(AssertionError("the place was not given back"))):
        pass
