"""Decoding in processes of their own: the same pictures, the same refusals, and bounds that hold."""

import gc
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.forkserver import _forkserver
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml_api.deadline import Deadline
from ml_api.errors import DeadlineExceeded, InvalidCrop, InvalidImage, InvalidInput, Overloaded, TooCostly
from ml_api.images import MEDIA_TYPES, Crop, ImageLimits, InlineDecoder, Reduced, Square, decode
from ml_api.images.processes import Bounds, ProcessDecoder
from ml_api.images.processes.child import Child, WorkerCrashed, WorkerLost
from ml_api.images.worker import Order
from ml_api.metrics import Metrics
from tests.files import costly_images, hostile_images
from tests.files.hostile_images import encoded
from tests.waiting import wait_until

LIMITS = ImageLimits(max_bytes=32 * 2**20, max_pixels=128_000_000, max_aspect=20)
ROOT = Path(__file__).parents[3]
MIB = 2**20
FIT = Square(224, 224, Image.Resampling.BICUBIC)
SMALL = encoded(Image.effect_noise((64, 48), 60).convert("RGB"), "PNG")


def soon():
    return Deadline.within(60)


@contextmanager
def decoding(processes=1, memory_bytes=1024 * MIB, time_s=20.0, metrics=None):
    metrics = metrics or Metrics()
    with closing(ProcessDecoder(LIMITS, Bounds(processes, memory_bytes, time_s), metrics.decoding)) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def decoder():
    with decoding(2) as decoder:
        yield decoder


@pytest.fixture
def parent(decoder):
    """What forks the decoding processes."""
    decoder.decode(SMALL, FIT, soon())
    return _forkserver._forkserver_pid


@pytest.fixture
def workers(parent):
    """Tells the processes that decode for this test alone."""
    before = children(parent)
    return lambda: sorted(children(parent) - before)


def children(parent):
    return {int(pid) for path in Path(f"/proc/{parent}/task").glob("*/children") for pid in path.read_text().split()}


def patiently(decoder, data):
    """As a client that asks again as long as it is told to."""

    def asked():
        with suppress(Overloaded):
            return decoder.decode(data, FIT, soon())

    return wait_until(asked, 120)


def is_busy(pid):
    """Whether it has computed for a while since it was looked at first."""
    seconds = time.clock_gettime((~pid << 3) | 2)
    return lambda: time.clock_gettime((~pid << 3) | 2) > seconds + 0.1


@pytest.mark.parametrize("fit", [Square(100, 110, Image.Resampling.BICUBIC), Reduced(100)], ids=["square", "reduced"])
@pytest.mark.parametrize("format_", MEDIA_TYPES)
def test_the_picture_is_the_one_that_is_decoded_here(decoder, format_, fit):
    width, height = (200, 150) if format_ == "ICO" else (700, 500)
    data = encoded(Image.effect_noise((width, height), 60).convert("RGB"), format_)
    here = InlineDecoder(LIMITS)

    ours, theirs = decoder.decode(data, fit, soon()), here.decode(data, fit)

    assert (ours.format, ours.width, ours.height) == (theirs.format, width, height)
    assert np.array_equal(ours.pixels, theirs.pixels)
    assert np.array_equal(ours.pixels, fit.apply(decode(data, LIMITS, for_edge_px=100).image))
    assert decoder.thumbnail(data, 100, soon()) == here.thumbnail(data, 100)


def test_a_part_of_the_picture_is_the_one_that_is_decoded_here(decoder):
    data, crop = encoded(Image.effect_noise((700, 500), 60).convert("RGB"), "JPEG"), Crop(100, 50, 300, 400)
    ours, theirs = decoder.decode(data, FIT, soon(), crop), InlineDecoder(LIMITS).decode(data, FIT, crop=crop)
    assert np.array_equal(ours.pixels, theirs.pixels)
    with pytest.raises(InvalidCrop, match="700 x 500"):
        decoder.decode(data, FIT, soon(), Crop(500, 50, 300, 400))


def test_photographs_of_phones_and_cameras_are_decoded(decoder):
    """The largest sound ones: 108 megapixels of a phone, 24 MB of a camera."""
    phone, camera = costly_images.photograph(12_000, 9_000, quality=80), costly_images.photograph(8192, 5464, quality=95, noise=60)
    assert 22 * MIB < len(camera) < LIMITS.max_bytes
    for data, size in ((phone, (12_000, 9_000)), (camera, (8192, 5464))):
        decoded = decoder.decode(data, Reduced(224), soon())
        assert (decoded.width, decoded.height) == size
        assert min(decoded.pixels.shape[:2]) >= 448


@pytest.mark.parametrize("data", [b"", b"GIF89a", hostile_images.PDF, hostile_images.png(30_000, 1), SMALL[:200]])
def test_what_is_refused_here_is_refused_there_in_the_same_words(decoder, data):
    with pytest.raises(InvalidInput) as here:
        InlineDecoder(LIMITS).decode(data, FIT)
    with pytest.raises(InvalidInput) as there:
        decoder.decode(data, FIT, soon())

    assert type(there.value) is type(here.value)
    assert (there.value.slug, there.value.detail) == (here.value.slug, here.value.detail)


def test_a_decoder_that_does_not_end_is_ended():
    """1 MB, on which it would spend 34 s."""
    metrics = Metrics()
    with decoding(time_s=1, metrics=metrics) as decoder:
        patiently(decoder, SMALL)
        with pytest.raises(TooCostly, match="more than 1 s") as caught:
            patiently(decoder, costly_images.empty_scans())

        assert caught.value.slug == "image-too-costly"
        assert patiently(decoder, SMALL).width == 64
    assert metrics.registry.get_sample_value("ml_api_decoding_refused_total", {"reason": "time"}) == 1
    assert metrics.registry.get_sample_value("ml_api_decoding_processes_ended_total", {"reason": "stopped"}) >= 1


def test_a_sync_s_image_is_ended_after_its_time_on_a_core():
    with decoding(time_s=1) as decoder, pytest.raises(TooCostly, match="more than 1 s"):
        decoder.decode(costly_images.empty_scans(), FIT)


def test_nobody_waits_beyond_the_deadline():
    with decoding() as decoder:
        decoder.decode(SMALL, FIT, soon())
        with pytest.raises(DeadlineExceeded):
            decoder.decode(costly_images.empty_scans(), FIT, Deadline.within(0.5))


def test_others_do_not_wait_for_one_that_takes_long(workers):
    """Its fair share of the time is over once somebody waits."""
    with decoding(time_s=4) as decoder, ThreadPoolExecutor(1) as beside:
        decoder.decode(SMALL, FIT, soon())
        [pid] = workers()
        busy = is_busy(pid)
        costly = beside.submit(decoder.decode, costly_images.empty_scans(), FIT, Deadline.within(600))
        wait_until(busy)
        assert patiently(decoder, SMALL).width == 64
        with pytest.raises((TooCostly, Overloaded)):
            costly.result(60)


def test_costly_files_at_once_are_told_so_and_not_to_try_again():
    """Each was stopped for the others' sake, and its sender told to come again, which never ended."""
    with decoding(2, time_s=1) as decoder, ThreadPoolExecutor(8) as senders:
        sent = [senders.submit(patiently, decoder, costly_images.empty_scans()) for _ in range(8)]

        assert {type(answer.exception(120)) for answer in sent} == {TooCostly}


@pytest.mark.parametrize("make", [costly_images.empty_scans, costly_images.big_png], ids=["by Pillow", "by a thread of libvips"])
def test_what_takes_long_lets_everybody_else_go_first_with_all_its_threads(workers, make):
    """Only the main one did, and libvips decodes in another."""
    with decoding() as decoder, ThreadPoolExecutor(1) as beside:
        decoder.decode(SMALL, FIT, soon())
        [pid] = workers()
        beside.submit(decoder.decode, make(), FIT, soon())
        wait_until(lambda: niceness(pid) == {10})
        os.kill(pid, signal.SIGSEGV)


def niceness(pid):
    """Of all its threads; of none if one has just ended."""
    with suppress(ProcessLookupError):
        return {os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()}


def test_a_photograph_keeps_its_process_at_the_usual_priority(workers):
    with decoding() as decoder:
        decoder.decode(costly_images.photograph(500, 375), FIT, soon())
        [pid] = workers()
        assert niceness(pid) == {0}


def test_an_image_that_hardly_had_a_core_is_not_called_too_costly(workers):
    """The machine was busy with other things: the same file may be decoded in a moment."""
    with decoding(time_s=1) as decoder:
        patiently(decoder, SMALL)
        [pid] = workers()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(Overloaded, match="too busy"):
            decoder.decode(costly_images.empty_scans(), FIT, soon())


def test_a_process_is_not_waited_for_beyond_the_time_of_the_image():
    """30 s, whatever the limit was."""
    with pytest.raises(WorkerLost, match="could not be started in time"):
        Child(until=time.perf_counter())
    # Too costly if the process happened to have used its tenth of a millisecond when it was looked at.
    with decoding(time_s=0.0001) as decoder, pytest.raises((Overloaded, TooCostly)):
        decoder.decode(SMALL, FIT, soon())


@contextmanager
def asked_child(data=SMALL):
    """A process that decodes `data`, and what waits for the result."""
    with closing(Child(until=time.perf_counter() + 20)) as child:
        yield child, child.ask(Order(len(data), LIMITS, 224, FIT, 20.0), data)


def test_the_number_of_a_process_that_has_ended_is_not_killed(workers, monkeypatch):
    """It may be another process's: what forks them has taken it back at once."""
    killed = []
    with asked_child() as (_, _):
        [pid] = workers()
        os.kill(pid, signal.SIGSEGV)
        wait_until(lambda: not workers())
        monkeypatch.setattr(os, "kill", lambda *told: killed.append(told))

    assert not killed


def test_a_process_that_has_ended_used_no_more_of_a_core_than_before(workers):
    """Two clocks were subtracted, which made it days: a file was called too costly whose process somebody had killed."""
    with asked_child(costly_images.empty_scans()) as (child, _):
        [pid] = workers()
        wait_until(lambda: child.used_s() > 0)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not workers())

        assert 0 < child.used_s() < 20
        child.slow_down()


def test_how_a_process_ended_is_known_while_others_are_started(workers, monkeypatch):
    """Each start reads the exit codes of all that have ended; who read one second took it for 255, and blamed nobody."""
    read = forkserver.read_signed

    def read_later(descriptor):
        if threading.current_thread() is threading.main_thread():
            time.sleep(0.05)  # so that others come between
        return read(descriptor)

    monkeypatch.setattr(forkserver, "read_signed", read_later)
    over = threading.Event()

    def start_others():
        while not over.is_set():
            Child(until=time.perf_counter() + 20).close()

    with ThreadPoolExecutor(3) as threads:
        others = [threads.submit(start_others) for _ in range(3)]
        try:
            for _ in range(5):
                with asked_child(costly_images.empty_scans()) as (child, answer):
                    os.kill(child._pid, signal.SIGSEGV)
                    with pytest.raises(WorkerCrashed) as caught:
                        answer(20)
                    assert caught.value.signal == signal.SIGSEGV
        finally:
            over.set()
        for other in others:
            other.result(20)


def test_only_one_waits_for_a_fork_server_that_hangs(parent):
    os.kill(parent, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(2) as threads:
            starts = [threads.submit(Child, time.perf_counter() + 0.2) for _ in range(2)]
            wait_until(lambda: any(start.done() for start in starts))
            [told] = [start for start in starts if start.done()]
            with pytest.raises(WorkerLost, match="in time"):
                told.result()
            os.kill(parent, signal.SIGCONT)
    finally:
        os.kill(parent, signal.SIGCONT)
    [hung] = [start for start in starts if start is not told]
    with suppress(WorkerLost):
        hung.result().close()


def open_descriptors():
    gc.collect()  # an ended process's are closed with its object
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("free", range(3))
def test_a_process_that_lacks_descriptors_is_not_started_and_leaves_none_open(parent, free):
    """It raised OSError, which nobody expects, and left its file in memory open."""
    held = open_descriptors()
    lowest = os.dup(0)
    os.close(lowest)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + free, before[1]))
    try:
        with pytest.raises(WorkerLost, match="Too many open files"):
            Child(until=time.perf_counter() + 20)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert open_descriptors() == held


def test_a_file_is_not_blamed_for_the_end_of_what_forks_the_processes(parent, workers):
    """Its exit code is then told as 255, by nobody."""
    with decoding() as decoder, ThreadPoolExecutor(1) as beside:
        decoder.decode(SMALL, FIT, soon())
        [pid] = workers()
        busy = is_busy(pid)
        sent = beside.submit(decoder.decode, costly_images.big_png(6000, 6000), FIT, soon())
        wait_until(busy)
        os.kill(parent, signal.SIGKILL)
        assert sent.result(60).width == 6000


def test_memory_is_refused_from_the_header():
    metrics = Metrics()
    with decoding(memory_bytes=128 * MIB, metrics=metrics) as decoder:
        with pytest.raises(TooCostly, match="of memory, of 128 MiB"):
            decoder.decode(costly_images.empty_scans(), FIT, soon())
        assert metrics.registry.get_sample_value("ml_api_decoding_refused_total", {"reason": "memory"}) == 1
        assert metrics.registry.get_sample_value("ml_api_decoding_processes_ended_total", {"reason": "crashed"}) == 0


def test_an_image_that_takes_much_memory_is_decoded_in_it(decoder):
    decoded = decoder.decode(costly_images.big_png(6000, 6000), FIT, soon())

    assert (decoded.width, decoded.height) == (6000, 6000)


def test_an_avif_of_98_megapixels_is_decoded_within_a_gibibyte(decoder):
    """It was refused: all AVIFs were counted as if their colours had full resolution and more than 8 bits."""
    decoded = patiently(decoder, costly_images.big_avif())

    assert (decoded.width, decoded.height) == (9_900, 9_900)


@pytest.mark.parametrize("size", [(8000, 6000), (12_000, 9_000)])
def test_a_jpeg_with_a_scan_for_each_component_is_decoded(decoder, size):
    """48 and 108 megapixels: libjpeg keeps all coefficients of it, which were not counted, and it was refused as damaged."""
    decoded = decoder.decode(costly_images.separate_scans(*size), FIT, soon())

    assert (decoded.width, decoded.height) == size


def test_memory_that_coefficients_take_is_refused_from_the_header():
    with decoding(memory_bytes=128 * MIB) as decoder, pytest.raises(TooCostly, match="of memory, of 128 MiB"):
        decoder.decode(costly_images.separate_scans(), FIT, soon())


SWELLING = """
from ml_api.images.worker import OVERHEAD_BYTES, bounded

try:
    with bounded(60, 2**24):
        bytearray(OVERHEAD_BYTES)
        bytearray(OVERHEAD_BYTES + 2**26)
except MemoryError:
    bytearray(OVERHEAD_BYTES + 2**24)
    print("refused", flush=True)
with bounded(0.1, 2**24):
    while True:
        pass
"""


def test_the_system_itself_bounds_memory_and_time_whatever_a_header_tells():
    done = subprocess.run([sys.executable, "-c", SWELLING], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "refused\n", done.stderr
    assert done.returncode == -signal.SIGXCPU


def test_memory_is_given_back(workers):
    with decoding() as decoder:
        decoder.decode(costly_images.big_png(6000, 6000), FIT, soon())
        decoder.decode(SMALL, FIT, soon())
        [pid] = wait_until(lambda: len(workers()) == 1 and workers())
        held = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    assert held < 200 * MIB


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_is_that_file_s_alone(how, workers):
    metrics = Metrics()
    with decoding(metrics=metrics) as decoder, ThreadPoolExecutor(1) as beside:
        decoder.decode(SMALL, FIT, soon())
        [pid] = workers()
        busy = is_busy(pid)
        costly = beside.submit(decoder.decode, costly_images.empty_scans(), FIT, soon())
        wait_until(busy)
        os.kill(pid, how)
        with pytest.raises(InvalidImage) as caught:
            costly.result(30)

        assert caught.value.slug == ("image-damaged" if how == signal.SIGSEGV else "image-too-costly")
        assert decoder.decode(SMALL, FIT, soon()).width == 64
    assert metrics.registry.get_sample_value("ml_api_decoding_processes_ended_total", {"reason": "crashed"}) == 1


def test_a_process_that_is_killed_is_replaced_whether_it_works_or_not(workers):
    with decoding() as decoder, ThreadPoolExecutor(1) as beside:
        decoder.decode(SMALL, FIT, soon())
        os.kill(workers()[0], signal.SIGKILL)
        wait_until(lambda: not workers())
        assert decoder.decode(SMALL, FIT, soon()).width == 64

        [pid] = wait_until(lambda: len(workers()) == 1 and workers())
        busy = is_busy(pid)
        again = beside.submit(decoder.decode, costly_images.big_png(6000, 6000), FIT, soon())
        wait_until(busy)
        os.kill(pid, signal.SIGKILL)
        assert again.result(60).width == 6000


def test_signals_to_all_processes_of_the_service_leave_it_at_work(parent, workers):
    with decoding() as decoder:
        decoder.decode(SMALL, FIT, soon())
        [pid] = workers()
        for told in (pid, parent):
            os.kill(told, signal.SIGINT)
            os.kill(told, signal.SIGTERM)

        assert decoder.decode(SMALL, FIT, soon()).width == 64
        assert workers() == [pid]


def test_processes_that_only_just_start_do_not_hear_them_either(tmp_path):
    """Before they could say that they ignore them: what they import first takes a second."""
    done = scripted(tmp_path, SIGNALLED)
    assert (done.returncode, done.stdout, done.stderr) == (0, "64\n", "")


def test_the_process_that_starts_them_hears_signals_as_before():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with decoding() as decoder:
        decoder.decode(SMALL, FIT, soon())
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_libraries_remarks_on_damaged_files_do_not_reach_the_output_of_the_service(workers):
    """C libraries write them to the descriptors, past every logger."""
    with decoding() as decoder:
        decoder.decode(SMALL, FIT, soon())
        [pid] = workers()

        assert all(Path(f"/proc/{pid}/fd/{output}").readlink() == Path(os.devnull) for output in (1, 2))


def test_what_forks_the_processes_is_there_before_the_first_image():
    """So that the first search does not wait for its start, 0.3 to 1 s."""
    script = "from tests.unit.images.test_processes import *\nwith decoding():\n    print(len(children(os.getpid())))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "2\n", done.stderr  # and multiprocessing's tracker of resources


def test_many_threads_share_few_processes(workers):
    data = [encoded(Image.new("RGB", (40 + number, 40)), "PNG") for number in range(60)]
    with decoding(2) as decoder, ThreadPoolExecutor(16) as threads:
        decoded = list(threads.map(lambda file: decoder.decode(file, FIT, soon()), data))

        assert [image.width for image in decoded] == list(range(40, 100))
        assert len(workers()) <= 2


def test_nothing_is_left_after_closing(workers):
    before = threading.active_count()
    with decoding(2) as decoder:
        decoder.decode(SMALL, FIT, soon())
    decoder.close()

    assert not workers()
    assert threading.active_count() == before


SIGNALLED = """
import io, os, signal, threading, time
from pathlib import Path
from PIL import Image
from ml_api.deadline import Deadline
from ml_api.images import ImageLimits, Reduced
from ml_api.images.processes import Bounds, ProcessDecoder
from ml_api.metrics import Metrics

def children(pid):
    found = [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    return found + [grandchild for child in found for grandchild in children(child)]

def signal_all():
    while not done.is_set():
        for pid in children(os.getpid()):
            for number in (signal.SIGINT, signal.SIGTERM):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        time.sleep(0.005)

if __name__ == "__main__":
    done = threading.Event()
    teller = threading.Thread(target=signal_all)
    teller.start()
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, "PNG")
    decoder = ProcessDecoder(ImageLimits(2**25, 128_000_000, 20), Bounds(1, 2**30, 60), Metrics().decoding)
    print(decoder.decode(file.getvalue(), Reduced(224), Deadline.within(60)).width)
    done.set()
    teller.join()
    decoder.close()
"""

ABANDONED = """
import os, signal, threading, time
from pathlib import Path
from ml_api.deadline import Deadline
from ml_api.images import ImageLimits, Reduced
from ml_api.images.processes import Bounds, ProcessDecoder
from ml_api.metrics import Metrics
from multiprocessing.forkserver import _forkserver
from tests.files import costly_images

if __name__ == "__main__":
    limits = ImageLimits(2**25, 128_000_000, 20)
    decoder = ProcessDecoder(limits, Bounds(1, 2**30, 60), Metrics().decoding)
    data = costly_images.empty_scans()
    threading.Thread(target=decoder.decode, args=(data, Reduced(224), Deadline.within(600)), daemon=True).start()
    parent = None
    while not (found := parent and Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
        time.sleep(0.01)
        parent = _forkserver._forkserver_pid
    print(parent, *found, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def scripted(folder, text, **environ):
    root = Path(__file__).parents[3]
    script = folder / "script.py"
    script.write_text(text)
    return subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(root)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_process_outlives_the_service(tmp_path):
    done = scripted(tmp_path, ABANDONED)
    assert done.returncode == -signal.SIGKILL, done.stderr

    for pid in done.stdout.split():
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])


UNCLOSED = """
import os
from multiprocessing.forkserver import _forkserver
from pathlib import Path
from tests.unit.images.test_processes import FIT, LIMITS, SMALL, soon
from ml_api.images.processes import Bounds, ProcessDecoder
from ml_api.metrics import Metrics

if __name__ == "__main__":
    decoder = ProcessDecoder(LIMITS, Bounds(1, 2**30, 60), Metrics().decoding)
    decoder.decode(SMALL, FIT, soon())
    parent = _forkserver._forkserver_pid
    print(Path(f"/proc/{parent}/task/{parent}/children").read_text(), flush=True)
"""


def test_a_program_that_does_not_close_its_decoder_ends_all_the_same(tmp_path):
    """Nothing tells a process to end that does not hear signals, and Python waits for it at its exit."""
    done = scripted(tmp_path, UNCLOSED)

    assert (done.returncode, done.stderr) == (0, "")
    [pid] = done.stdout.split()
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize("length", [75, 76, 200])
def test_a_temporary_folder_of_any_length_does(tmp_path, length):
    """The fork server listens on a socket, whose path the system limits: "AF_UNIX path too long" ended the start."""
    with tempfile.TemporaryDirectory(dir="/tmp") as parent:
        folder = Path(f"{parent}/".ljust(length, "x"))
        folder.mkdir()

        done = scripted(tmp_path, UNCLOSED, TMPDIR=str(folder))

        assert (done.returncode, done.stderr) == (0, "")
        assert list(folder.iterdir()) == []


def test_what_runs_in_the_processes_imports_no_more_than_it_needs():
    known = (
        "import sys, ml_api.images.worker; print(*(name for name in sys.modules if name.startswith(('ml_api', 'torch', 'flask'))))"
    )
    done = subprocess.run([sys.executable, "-c", known], capture_output=True, text=True, timeout=60, check=True)

    rooms = {name.split(".")[1] for name in done.stdout.split() if "." in name}
    assert rooms == {"deadline", "errors", "files", "images", "stopping"}


def test_a_file_over_the_systems_limit_finds_no_room_and_the_next_one_is_decoded():
    """It was said that no process could be started. The limit is the process's: one of its own meets it."""
    code = """
import io, resource
from contextlib import closing
from PIL import Image
from ml_api.errors import InsufficientStorage
from ml_api.images import ImageLimits, Square
from ml_api.images.processes import Bounds, ProcessDecoder
from ml_api.metrics import Metrics

def png(edge):
    file = io.BytesIO()
    Image.effect_noise((edge, edge), 60).save(file, "PNG")
    return file.getvalue()

def main():
    fit = Square(64, 64, Image.Resampling.BICUBIC)
    limits = ImageLimits(max_bytes=2**22, max_pixels=10**7, max_aspect=20)
    with closing(ProcessDecoder(limits, Bounds(1, 2**30, 20.0), Metrics().decoding)) as decoder:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            decoder.decode(png(1000), fit)
        except InsufficientStorage as exc:
            print(exc.detail)
        print(decoder.decode(png(100), fit).width)

main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=ROOT)
    first, second = done.stdout.splitlines()
    assert first.startswith("the system lets this service write no file of ")
    assert second == "100"
