// Who touched an element last, and does that conflict with the current thread? The race rules stand here.
//
// Two accesses conflict if one of them writes and nothing orders them. Ordered are: accesses of one thread; accesses of
// one block with a __syncthreads in between; accesses of one warp with a __syncwarp in between that names both lanes.
// Blocks of a launch are never ordered. Atomic accesses do not conflict with each other, but do with plain reads and
// writes.
#pragma once
#include "runtime.h"

namespace emu {

// The accesses of one kind (reads, writes or atomics) to one element that later ones may conflict with. If they come
// from one warp the lanes are on record. Several warps of one phase conflict with any thread, no matter which.
struct Accesses {
    uint64_t phase : 48; // of the latest access
    uint64_t warp : 8;
    uint64_t several_warps : 1; // of this phase
    uint64_t other_blocks : 1;  // blocks before the current one, in this launch, had access too
    uint32_t lanes;
    uint32_t stamp; // event number (warp.cpp) of the latest access. After a __syncwarp with a mask that is not full the
                    // lanes may have different ones; the latest then stands for all, which can only report too much.

    // Does an access of the current thread conflict with one of these? Those before phase `since` do not count.
    bool conflict(uint64_t since) const { return phase >= since && conflict_in_launch(); }

    bool conflict_in_launch() const {
        if (phase < now.block_start || other_blocks) return true;
        if (phase < now.phase) return false; // a barrier lies in between
        const Thread& me = *now.thread;
        if (several_warps || warp != me.warp) return true;
        unsigned others = lanes & ~(1u << me.lane);
        return others && !seen_by_current(others, stamp);
    }

    void add(uint64_t since) {
        const Thread& me = *now.thread;
        if (phase != now.phase) {
            bool earlier_block = phase >= since && (other_blocks || phase < now.block_start);
            replace();
            other_blocks = earlier_block;
        } else if (warp != me.warp) {
            several_warps = 1;
        } else if (stamp != me.stamp && seen_by_current(lanes & ~(1u << me.lane), stamp)) {
            lanes = 1u << me.lane; // what is ordered after us is ordered after them
            stamp = me.stamp;
        } else {
            lanes |= 1u << me.lane;
            stamp = stamp > me.stamp ? stamp : me.stamp;
        }
    }

    void replace() { // only the current thread
        const Thread& me = *now.thread;
        phase = now.phase;
        warp = me.warp;
        several_warps = other_blocks = 0;
        lanes = 1u << me.lane;
        stamp = me.stamp;
    }
};

struct Cell { // all zero: never touched
    Accesses writes, reads, atomics;
};

} // namespace emu
