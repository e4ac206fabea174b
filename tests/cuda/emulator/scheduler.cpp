// Runs the threads of one block: which is next, barriers, and the report when all wait.
#include "scheduler.h"

#include <deque>

namespace emu {

static std::deque<Thread*> ready;
static unsigned n_at_barrier;
static Thread* first_at_barrier;
static Order order;
static uint64_t random_state;

uint64_t random_below(uint64_t n) { // xorshift64*
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (random_state * 2685821657736338717ull >> 16) % n;
}

void set_order(Order new_order, uint64_t seed) {
    order = new_order;
    random_state = (seed + 1) * 0x9E3779B97F4A7C15ull;
    if (!random_state) random_state = 1;
}

void make_ready(Thread& thread) {
    if (thread.state != Thread::NEW) thread.state = Thread::READY;
    ready.push_back(&thread);
}

static Thread* take_ready() {
    Thread* thread;
    if (order == Order::FORWARD) { // first come, first served
        thread = ready.front();
        ready.pop_front();
    } else { // reverse: the last; random: any, in the last one's place
        if (order == Order::RANDOM) std::swap(ready[random_below(ready.size())], ready.back());
        thread = ready.back();
        ready.pop_back();
    }
    return thread;
}

static void put_back(Thread* thread) { // where take_ready finds it
    if (order == Order::FORWARD)
        ready.push_front(thread);
    else
        ready.push_back(thread);
}

static void start_phase() {
    now.phase++;
    n_at_barrier = 0;
    first_at_barrier = nullptr;
    for (Thread& thread : block.threads) thread.stamp = 1;
}

// ------------------------------------------------------------------ __syncthreads

void block_barrier(int line) {
    Thread& me = *now.thread;
    Site here{nullptr, line};
    count_step(here);
    // CUDA lets only whole blocks meet. Newer devices release a barrier that exited threads miss; no kernel here may
    // rely on that, nor on barriers at different lines matching.
    if (block.live != block.n_threads)
        fail(here, "__syncthreads() after %u thread(s) of the block returned", block.n_threads - block.live);
    if (!first_at_barrier) first_at_barrier = &me; // all others have to come to the same line
    const Thread& first = *first_at_barrier;
    if (&first != &me && first.line != line)
        fail(here, "divergent __syncthreads(): thread (%u,%u,%u) waits at another one, line %d", first.index.x,
             first.index.y, first.index.z, first.line);
    me.line = line;
    me.state = Thread::AT_BARRIER;
    if (++n_at_barrier < block.n_threads) {
        suspend();
        return;
    }
    start_phase();
    me.state = Thread::READY;
    for (Thread& other : block.threads)
        if (other.state == Thread::AT_BARRIER) make_ready(other);
}

// ------------------------------------------------------------------ the block

bool next_thread_on_this_fiber() {
    Thread& me = *now.thread;
    me.state = Thread::DONE;
    block.live--;
    if (first_at_barrier) {
        const Thread& other = *first_at_barrier;
        fail({nullptr, other.line}, "returned while thread (%u,%u,%u) waits in __syncthreads()", other.index.x,
             other.index.y, other.index.z);
    }
    lane_exited(me);
    now.thread = nullptr;
    if (ready.empty()) return false;
    Thread* next = take_ready();
    if (next->state != Thread::NEW) { // has a stack of its own; the scheduler goes there
        put_back(next);
        return false;
    }
    next->state = Thread::READY;
    now.thread = next;
    return true;
}

static const char* wait_of(const Thread& thread) {
    return thread.state == Thread::AT_BARRIER ? "__syncthreads()" : name_of(thread.request.op);
}

// All threads wait: names one in a warp operation and the first other one that stands somewhere else. There is one in a
// warp operation, as all cases in which a __syncthreads is left with too few threads are errors before.
static void report_deadlock() {
    Thread *first = nullptr, *second = nullptr;
    for (Thread& thread : block.threads)
        if (thread.state == Thread::AT_WARP && !first) first = &thread;
    for (Thread& thread : block.threads)
        if (first && !second && (thread.state == Thread::AT_BARRIER || thread.state == Thread::AT_WARP))
            if (thread.line != first->line || thread.request.mask != first->request.mask) second = &thread;
    now.thread = first;
    Site site{nullptr, first->line};
    if (second)
        note_error(site, "deadlock: waits in %s, mask %08x, while thread (%u,%u,%u) waits in %s, line %d",
                   wait_of(*first), first->request.mask, second->index.x, second->index.y, second->index.z,
                   wait_of(*second), second->line);
    else
        note_error(site, "deadlock: waits in %s, mask %08x", wait_of(*first), first->request.mask);
}

static void set_shape(dim3 size) {
    if (block.size.x == size.x && block.size.y == size.y && block.size.z == size.z && block.n_threads) return;
    block.size = size;
    block.n_threads = size.x * size.y * size.z;
    block.threads.assign(block.n_threads, Thread());
    for (unsigned i = 0; i < block.n_threads; i++) {
        Thread& thread = block.threads[i];
        thread.index = thread_index_of(i);
        thread.warp = i / WARP;
        thread.lane = i % WARP;
    }
}

void run_block(uint3 index, dim3 size) {
    set_shape(size);
    block.index = index;
    block.live = block.n_threads;
    start_phase();
    now.block_start = now.phase;
    now.steps = 0;
    forget_requests();
    ready.clear();
    for (Thread& thread : block.threads) {
        thread.state = Thread::NEW;
        thread.fiber = nullptr;
        ready.push_back(&thread);
    }
    while (!ready.empty() && !launch_failed()) resume(*take_ready());
    if (!launch_failed() && block.live) report_deadlock();
    now.thread = nullptr;
}

} // namespace emu
