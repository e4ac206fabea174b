// Fibers: each waiting thread keeps its stack while others run. All on one system thread, so nothing runs at the same
// time.
//
// A fiber is entered the first time by setcontext and later by longjmp, which unlike swapcontext makes no system call.
// A thread that never waits needs no fiber of its own: when it ends, the next new thread runs on the same one.
#include "runtime.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

namespace emu {

// A device gives a thread up to 512 KB for local arrays. Of a stack only what is touched costs memory.
constexpr size_t STACK_BYTES = 1 << 20, GUARD_BYTES = 64 << 10;

struct Fiber {
    char* stack;
    bool started = false; // else enter by `first`
    ucontext_t first;
    jmp_buf context; // where it was suspended
};

static std::vector<Fiber*> fibers; // all of them
static std::vector<Fiber*> idle;
static Fiber* running;
static jmp_buf scheduler;

static void fiber_main() {
    for (;;) {
        do {
            now.kernel->call(now.arguments);
        } while (next_thread_on_this_fiber());
        idle.push_back(running);
        suspend();
    }
}

static Fiber* new_fiber() {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* stack = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (stack == MAP_FAILED) fail({}, "no memory for the stack of a thread");
    Fiber* fiber = new Fiber;
    fiber->stack = static_cast<char*>(stack);
    mprotect(fiber->stack, GUARD_BYTES, PROT_NONE); // at the lower end, to which a stack grows; see __tsan_func_entry
    fibers.push_back(fiber);
    return fiber;
}

static void enter(Fiber* fiber) {
    running = fiber;
    now.stack_begin = fiber->stack + GUARD_BYTES;
    now.stack_end = fiber->stack + STACK_BYTES;
    if (fiber->started) _longjmp(fiber->context, 1);
    fiber->started = true;
    getcontext(&fiber->first);
    fiber->first.uc_stack.ss_sp = fiber->stack;
    fiber->first.uc_stack.ss_size = STACK_BYTES;
    fiber->first.uc_link = nullptr;
    makecontext(&fiber->first, fiber_main, 0);
    setcontext(&fiber->first);
}

static Fiber* fiber_for(const Thread& thread) {
    if (thread.fiber) return thread.fiber;
    if (idle.empty()) return new_fiber();
    Fiber* fiber = idle.back();
    idle.pop_back();
    return fiber;
}

void resume(Thread& thread) {
    now.thread = &thread;
    thread.state = Thread::READY;
    if (_setjmp(scheduler) == 0) enter(fiber_for(thread));
}

void suspend() {
    Fiber* me = running;
    if (now.thread) now.thread->fiber = me;
    if (_setjmp(me->context) == 0) _longjmp(scheduler, 1);
}

void abandon() {
    _longjmp(scheduler, 1);
}

void discard_fibers() {
    idle = fibers;
    for (Fiber* fiber : fibers) fiber->started = false;
}

} // namespace emu
