// Ends a block that takes too long: a loop that neither accesses memory nor waits is not counted by count_step.
//
// While a launch runs, a timer interrupts its system thread every few milliseconds of processor time. An interrupted
// kernel can be left, for it holds nothing; the emulator or the C library can not, and the next interrupt tries again.
#include "runtime.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

namespace emu {

constexpr long INTERVAL = 10'000'000; // nanoseconds

static timer_t timer;
static double limit; // in seconds
static bool watching;
static struct sigaction before;
static uint64_t watched; // the block, by its first phase
static double began;

static double processor_seconds() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

static const char* interrupted_at(void* context) {
    const mcontext_t& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
#ifdef __x86_64__
    return reinterpret_cast<const char*>(machine.gregs[REG_RIP]);
#else
    return reinterpret_cast<const char*>(machine.pc);
#endif
}

static void tick(int, siginfo_t*, void* context) {
    if (watched != now.block_start) {
        watched = now.block_start;
        began = processor_seconds();
    }
    const char* code = interrupted_at(context);
    bool in_kernel = now.thread && code >= now.module->image_begin && code < now.module->image_end;
    if (!in_kernel || processor_seconds() - began <= limit) return;
    const char* next = code + 1; // as a return address has it
    fail({next, 0}, "this block has run for more than %g seconds: an endless loop? If not, give it less to do", limit);
}

void watch(double block_seconds) {
    limit = block_seconds;
    struct sigaction action = {};
    action.sa_sigaction = tick;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER; // not to stay blocked when tick() is left by fail()
    sigaction(SIGVTALRM, &action, &before);
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGVTALRM;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    watching = !timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer);
    itimerspec every = {{0, INTERVAL}, {0, INTERVAL}};
    if (watching) timer_settime(timer, 0, &every, nullptr);
}

void unwatch() {
    if (watching) timer_delete(timer);
    sigaction(SIGVTALRM, &before, nullptr);
}

} // namespace emu
