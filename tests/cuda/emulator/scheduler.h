// What launch.cpp asks of the scheduler.
#pragma once
#include "runtime.h"

namespace emu {

enum class Order { FORWARD, REVERSE, RANDOM }; // of the threads of a block, and of the blocks

void set_order(Order order, uint64_t seed);
void set_poison(Order order, uint64_t seed); // warp.cpp
uint64_t random_below(uint64_t n);
void run_block(uint3 index, dim3 size);

} // namespace emu
