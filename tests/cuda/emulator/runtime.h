// What the parts of the runtime share: the state of the launch, its threads, and memory's records of accesses.
#pragma once
#include "interface.h"
#include <vector>

namespace emu {

constexpr unsigned WARP = 32;
constexpr unsigned MAX_THREADS = 1024;

// ------------------------------------------------------------------ threads

struct Fiber; // a stack of its own (fibers.cpp)

struct WarpRequest {
    WarpOp op;
    unsigned mask, bytes, operand;
    int width;
    uint64_t value; // given, later received
};

struct Thread {
    enum State { NEW, READY, AT_BARRIER, AT_WARP, DONE };
    uint3 index;
    unsigned warp, lane;
    State state;
    int line;            // where it waits
    unsigned stamp;      // the warp's event number of its last __syncwarp (warp.cpp)
    Fiber* fiber;        // null until its first wait
    WarpRequest request; // while AT_WARP
};

// Time is counted in phases: a new one begins with each block and with each __syncthreads, and numbers are never used
// twice. So one number tells launch, block and barrier interval of an access, and nothing need be reset between
// launches.
struct Now {
    Thread* thread = nullptr; // null outside kernels
    uint64_t phase = 1;
    uint64_t launch_start = 1; // first phase of this launch
    uint64_t block_start = 1;  // first phase of this block
    uint64_t steps = 0;        // of this block: accesses, barriers and warp operations
    uint64_t bytes_read = 0, bytes_written = 0, bytes_shared = 0;
    bool sectors = false; // are they counted?
    uint64_t sectors_read = 0, sectors_written = 0;
    char *stack_begin = nullptr, *stack_end = nullptr; // of the running fiber
    const Module* module = nullptr;
    const Kernel* kernel = nullptr;
    const Argument* arguments = nullptr;
    char *shared_begin = nullptr, *dynamic_begin = nullptr;
    size_t dynamic_bytes = 0; // as asked by the launch
};
extern Now now;

struct Block { // the block that runs
    uint3 index;
    dim3 size, grid;
    unsigned n_threads, live;
    std::vector<Thread> threads;
};
extern Block block;

// ------------------------------------------------------------------ errors (launch.cpp)

struct Site { // a place in the kernel file: a line, or an address in its code that emulator.py looks up
    const void* address;
    int line;
};

// Notes the error that ends a launch, with block and thread.
void note_error(Site site, const char* format, ...) __attribute__((format(printf, 2, 3)));
// The same, and leaves the running thread for good.
[[noreturn]] void fail(Site site, const char* format, ...) __attribute__((format(printf, 2, 3)));
bool launch_failed(); // an error was noted

// To be called with each step. Blocks of the kernels here make fewer than a hundred thousand; an endless loop of
// accesses makes ENDLESS of them within a second.
constexpr unsigned long long ENDLESS = 1ull << 23;
inline void count_step(Site site) {
    if (++now.steps > ENDLESS) fail(site, "%llu accesses and waits in this block: an endless loop?", ENDLESS);
}

// The block that ran in a phase of this launch.
uint3 block_of(uint64_t phase);
uint3 block_index_of(uint64_t linear);
uint3 thread_index_of(unsigned linear);

// ------------------------------------------------------------------ fibers (fibers.cpp)

void resume(Thread& thread); // from the scheduler: runs the thread until it waits or ends
void suspend();              // from a thread: back to the scheduler, until resumed
[[noreturn]] void abandon(); // from a thread: back to the scheduler, never to be resumed
void discard_fibers();       // after an error: forgets all suspended threads

// ------------------------------------------------------------------ scheduler and warps

// scheduler.cpp. The running thread has ended; if the next one is new it becomes the current one, else false.
bool next_thread_on_this_fiber();
void make_ready(Thread& thread);

// warp.cpp
void lane_exited(const Thread& thread); // completes operations that waited for this lane only
// Did a __syncwarp order these lanes' accesses, up to the stamp, before what the current thread does now?
bool seen_by_current(unsigned lanes, unsigned stamp);
const char* name_of(WarpOp op);

// ------------------------------------------------------------------ time (watch.cpp)

void watch(double block_seconds); // from here to unwatch(), a block that takes longer fails
void unwatch();

// ------------------------------------------------------------------ sectors (sectors.cpp)

constexpr size_t SECTOR = 32; // bytes
void forget_requests();       // at the beginning of a block
// Adds those that the current thread's warp has not touched in the request that this access belongs to.
void count_sectors(const char* p, size_t size, Site site, uint64_t& sectors);

// ------------------------------------------------------------------ memory (memory.cpp)

struct Cell; // race records of one element (shadow.h)

struct Window { // what one argument of the launch lets the kernel touch
    char *begin, *end;
    bool writable;
    unsigned argument;
    Window* next; // another argument in the same allocation
};

struct Slot {               // one allocation
    char* begin = nullptr;  // null: free
    size_t bytes = 0;
    uint8_t* flags = nullptr; // one a byte: 1 once it is written
    Cell* cells = nullptr;    // one a granule
    uint64_t launch = 0;      // first phase of the launch that `windows` and `granule_bits` belong to
    Window* windows = nullptr;
    unsigned granule_bits = 0; // log2 of the smallest element among the windows
};

constexpr unsigned SLOT_BITS = 36; // a slot every 64 GB
constexpr size_t N_SLOTS = 1200; // 75 TB: as much as fits below a program, at two thirds of the 128 TB there are
constexpr size_t REGION_BYTES = N_SLOTS << SLOT_BITS;
extern char* region; // device memory begins here
extern Slot slots[N_SLOTS];
extern Cell* shared_cells; // for the shared memory of the running block, one a byte
extern std::vector<Window> windows; // of this launch

bool open_windows(const Argument* arguments, unsigned n); // false: an address is not in device memory

} // namespace emu
