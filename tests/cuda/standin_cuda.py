"""xp.cuda of the stand-in for CuPy: two devices, their memory pools, events."""

import functools
import threading
import time
from types import SimpleNamespace

DEVICES = 2
DEVICE_BYTES = 8 << 30
ALLOCATION_UNIT = 512  # CuPy's pool rounds up to it


class OutOfMemoryError(MemoryError):
    def __init__(self, size, total, limit=0):
        limited = f", limit set to: {limit:,} bytes" if limit else ""
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes{limited}).")


class CUDARuntimeError(RuntimeError):
    pass


class Memory:
    """One allocation; it goes back to its pool with the last array that uses it."""

    __slots__ = ("_pool", "device_id", "nbytes")

    def __init__(self, pool, nbytes):
        self._pool, self.device_id, self.nbytes = pool, pool._device_id, nbytes

    def __del__(self):
        self._pool._give_back(self.nbytes)


class Pool:
    """A device's memory pool. Like CuPy's it keeps what comes back, until free_all_blocks()."""

    def __init__(self, device_id):
        self._device_id = device_id
        self._used = self._total = self._limit = 0
        self._lock = threading.RLock()  # an array may die, and come here, while its own thread is in here

    def _allocate(self, nbytes):
        rounded = -(-nbytes // ALLOCATION_UNIT) * ALLOCATION_UNIT
        with self._lock:
            if self._used + rounded > (self._limit or DEVICE_BYTES):
                raise OutOfMemoryError(rounded, self._used, self._limit)
            self._used += rounded
            self._total = max(self._total, self._used)
        return Memory(self, rounded)

    def _give_back(self, nbytes):
        with self._lock:
            self._used -= nbytes

    def used_bytes(self):
        return self._used

    def total_bytes(self):
        return self._total

    def free_all_blocks(self):
        self._total = self._used

    def get_limit(self):
        return self._limit

    def set_limit(self, size):
        self._limit = size


class Device:
    """Device `id`, the current one where none is named."""

    def __init__(self, cuda, id=None):
        self._cuda = cuda
        self.id = cuda._current if id is None else id

    def use(self):
        if not 0 <= self.id < DEVICES:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self._cuda._current = self.id

    def __enter__(self):
        before = self._cuda._current
        self.use()
        self._cuda._entered.append(before)
        return self

    def __exit__(self, *_):
        self._cuda._current = self._cuda._entered.pop()

    def __eq__(self, other):
        return self.id == other.id

    def __hash__(self):
        return self.id

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def synchronize(self):
        pass  # the emulator has finished when a launch returns

    compute_capability = "80"
    attributes = property(lambda self: dict(MultiProcessorCount=4, MaxThreadsPerBlock=1024, WarpSize=32))
    mem_info = property(lambda self: (DEVICE_BYTES - self._cuda._pools[self.id].total_bytes(), DEVICE_BYTES))


class Stream:
    null: "Stream"

    def synchronize(self):
        pass


Stream.null = Stream()


class Event:
    _recorded = None

    def record(self, stream=None):
        self._recorded = time.perf_counter()

    def synchronize(self):
        pass


def get_elapsed_time(start_event, end_event):
    """Milliseconds."""
    if start_event._recorded is None or end_event._recorded is None:
        raise CUDARuntimeError("cudaErrorInvalidResourceHandle: invalid resource handle")
    return 1e3 * (end_event._recorded - start_event._recorded)


def _device_properties(device_id):
    if not 0 <= device_id < DEVICES:
        raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
    name = f"emulated device {device_id}".encode()  # bytes, as CuPy gives it
    return dict(name=name, totalGlobalMem=DEVICE_BYTES, major=8, minor=0, multiProcessorCount=4, warpSize=32)


class Cuda(threading.local):
    """xp.cuda. As in CUDA each thread has a current device of its own, at first device 0."""

    def __init__(self, pools):
        self._pools = pools
        self._current = 0
        self._entered = []  # what was current before each `with Device(...)`
        self.Device = functools.partial(Device, self)

    Event, Stream, get_elapsed_time = Event, Stream, staticmethod(get_elapsed_time)
    memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
    runtime = SimpleNamespace(
        getDeviceCount=lambda: DEVICES,
        getDeviceProperties=_device_properties,
        runtimeGetVersion=lambda: 13000,
        driverGetVersion=lambda: 13000,
        CUDARuntimeError=CUDARuntimeError,
    )

    def is_available(self):
        return True

    def get_current_stream(self):
        return Stream.null
