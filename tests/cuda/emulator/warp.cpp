// Warp operations: shuffles, votes, __syncwarp, and which accesses the latter orders.
//
// The rule of CUDA's Programming Guide: each calling lane names itself in the mask, and all lanes of the mask that have
// not exited execute the same operation with the same mask. Lanes that do not exist, in the last warp of a block whose
// size is no multiple of 32, are like exited ones. Here "the same" includes the line.
#include "scheduler.h"

#include <algorithm>

namespace emu {

// ------------------------------------------------------------------ the order that __syncwarp makes
// A vector clock for each lane. The __syncwarps of a warp are numbered; a lane stamps its accesses with the number of
// its latest one, and known[a][b] is the latest stamp of lane b whose accesses lie before all that lane a does from now
// on. Shuffles and votes do not order memory accesses: "These intrinsics do not imply a memory barrier".

struct Clocks {
    uint64_t phase = 0; // the clocks are of this phase: a block barrier orders everything
    uint32_t events = 1;
    uint32_t known[WARP][WARP];
};
static Clocks all_clocks[MAX_THREADS / WARP];

bool seen_by_current(unsigned lanes, unsigned stamp) {
    const Thread& me = *now.thread;
    const Clocks& clocks = all_clocks[me.warp];
    if (clocks.phase != now.phase) return false; // no __syncwarp since the barrier
    for (unsigned lane = 0; lane < WARP; lane++)
        if (lanes >> lane & 1 && clocks.known[me.lane][lane] < stamp) return false;
    return true;
}

static void order_accesses(Thread* lanes, unsigned group, unsigned warp) {
    Clocks& clocks = all_clocks[warp];
    if (clocks.phase != now.phase) {
        clocks = Clocks{};
        clocks.phase = now.phase;
        std::fill_n(&clocks.known[0][0], WARP * WARP, 0);
    }
    uint32_t joint[WARP] = {}; // what any lane of the group knew, and their own accesses
    for (unsigned a = 0; a < WARP; a++) {
        if (!(group >> a & 1)) continue;
        for (unsigned b = 0; b < WARP; b++) joint[b] = std::max(joint[b], clocks.known[a][b]);
        joint[a] = std::max(joint[a], lanes[a].stamp);
    }
    clocks.events++;
    for (unsigned a = 0; a < WARP; a++) {
        if (!(group >> a & 1)) continue;
        std::copy_n(joint, WARP, clocks.known[a]);
        lanes[a].stamp = clocks.events;
    }
}

// ------------------------------------------------------------------ the exchange

// The lane whose value a shuffle in `lane` returns.
static unsigned source_of(const WarpRequest& request, unsigned lane) {
    unsigned width = request.width, operand = request.operand;
    unsigned segment = lane & ~(width - 1), end = segment + width;
    switch (request.op) {
    case WarpOp::SHUFFLE: return segment + (operand & (width - 1));
    case WarpOp::SHUFFLE_UP: return operand <= lane - segment ? lane - operand : lane;
    case WarpOp::SHUFFLE_DOWN: return operand < end - lane ? lane + operand : lane;
    // Lanes of earlier segments can be read, of later ones not.
    case WarpOp::SHUFFLE_XOR: return (lane ^ operand) < end ? lane ^ operand : lane;
    default: return lane;
    }
}

// What a lane that takes no part gives: reading it is legal, using it is not. No value shows every use: NaN loses each
// comparison, and infinity is the maximum of what has it already. So it differs from order to order, and in random
// order from seed to seed.
enum class Poison { NOT_A_NUMBER, INFINITE, MINUS_INFINITE }; // as integers: -1, very large, very small
static Poison poison;

void set_poison(Order order, uint64_t seed) {
    poison = order == Order::FORWARD   ? Poison::NOT_A_NUMBER
             : order == Order::REVERSE ? Poison::INFINITE
                                       : static_cast<Poison>(seed % 3);
}

static uint64_t poison_of(unsigned bytes) {
    uint64_t infinity = bytes == 4 ? 0x7f800000 : 0x7ff0000000000000; // of float, of double
    uint64_t sign = bytes == 4 ? 0x80000000 : 0x8000000000000000;
    switch (poison) {
    case Poison::INFINITE: return infinity;
    case Poison::MINUS_INFINITE: return infinity | sign;
    default: return ~0ull;
    }
}

static void exchange(Thread* lanes, unsigned group) {
    uint64_t given[WARP], ballot = 0;
    for (unsigned lane = 0; lane < WARP; lane++) {
        if (!(group >> lane & 1)) continue;
        given[lane] = lanes[lane].request.value;
        ballot |= (given[lane] & 1) << lane;
    }
    for (unsigned lane = 0; lane < WARP; lane++) {
        if (!(group >> lane & 1)) continue;
        WarpRequest& request = lanes[lane].request;
        unsigned source = source_of(request, lane);
        if (request.op == WarpOp::BALLOT)
            request.value = ballot;
        else if (group >> source & 1)
            request.value = given[source];
        else // undefined on the device
            request.value = poison_of(request.bytes);
    }
}

// ------------------------------------------------------------------ meeting

const char* name_of(WarpOp op) {
    static const char* const names[] = {"__shfl_sync",     "__shfl_up_sync", "__shfl_down_sync",
                                        "__shfl_xor_sync", "__ballot_sync",  "__syncwarp"};
    return names[static_cast<int>(op)];
}

static bool same(const Thread& a, const Thread& b) {
    return a.line == b.line && a.request.op == b.request.op && a.request.mask == b.request.mask &&
           a.request.width == b.request.width;
}

// Have all lanes come that this waiting one names? Then exchanges, and makes all of them ready except `current`.
static bool try_complete(const Thread& waiting, const Thread* current) {
    Thread* lanes = &block.threads[waiting.warp * WARP];
    unsigned n_lanes = std::min(WARP, block.n_threads - waiting.warp * WARP), group = 0;
    bool complete = true;
    for (unsigned lane = 0; lane < n_lanes; lane++) {
        const Thread& other = lanes[lane];
        if (!(waiting.request.mask >> lane & 1) || other.state == Thread::DONE) continue;
        group |= 1u << lane;
        if (other.state != Thread::AT_WARP) {
            complete = false;
        } else if (!same(waiting, other)) {
            // A lane in an operation of its own group may still come. Two lanes that wait for each other never meet.
            if (other.request.mask >> waiting.lane & 1)
                fail({nullptr, waiting.line},
                     "%s, mask %08x, width %d: lane %u of the mask executes %s, mask %08x, width %d, line %d",
                     name_of(waiting.request.op), waiting.request.mask, waiting.request.width, lane,
                     name_of(other.request.op), other.request.mask, other.request.width, other.line);
            complete = false;
        }
    }
    if (!complete) return false;
    exchange(lanes, group);
    if (waiting.request.op == WarpOp::SYNC) order_accesses(lanes, group, waiting.warp);
    for (unsigned lane = 0; lane < n_lanes; lane++)
        if (group >> lane & 1 && &lanes[lane] != current) make_ready(lanes[lane]);
    return true;
}

uint64_t warp_operation(WarpOp op, unsigned mask, uint64_t value, unsigned bytes, unsigned operand, int width,
                        int line) {
    Thread& me = *now.thread;
    Site here{nullptr, line};
    count_step(here);
    if (!(mask >> me.lane & 1)) fail(here, "%s: mask %08x lacks the calling lane %u", name_of(op), mask, me.lane);
    if (width < 1 || width > 32 || (width & (width - 1)))
        fail(here, "%s: width %d is no power of two up to 32", name_of(op), width);
    me.request = {op, mask, bytes, operand, width, value};
    me.line = line;
    me.state = Thread::AT_WARP;
    if (!try_complete(me, &me)) suspend();
    me.state = Thread::READY;
    return me.request.value;
}

void lane_exited(const Thread& thread) {
    unsigned begin = thread.warp * WARP, end = std::min(begin + WARP, block.n_threads);
    for (unsigned i = begin; i < end; i++)
        if (block.threads[i].state == Thread::AT_WARP) try_complete(block.threads[i], nullptr);
}

} // namespace emu
