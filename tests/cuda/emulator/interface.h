// What a compiled kernel file and the emulator's runtime know of each other.
//
// Kernel files see this header through cuda_shim.h; the runtime implements it. Kept free of library headers with code
// in them: in kernel files everything is instrumented.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define EMU_EXPORT __attribute__((visibility("default")))

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

namespace emu {

// ------------------------------------------------------------------ what kernels call

// The built-in variables. They never change during one thread's run of a kernel, hence `const`: the compiler may keep
// the result across barriers. By value: a reference would make each use of threadIdx an instrumented read.
EMU_EXPORT __attribute__((const)) uint3 thread_index();
EMU_EXPORT __attribute__((const)) uint3 block_index();
EMU_EXPORT __attribute__((const)) dim3 block_size();
EMU_EXPORT __attribute__((const)) dim3 grid_size();

// __syncthreads(): waits for all threads of the block.
EMU_EXPORT void block_barrier(int line);

enum class WarpOp { SHUFFLE, SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_XOR, BALLOT, SYNC };

// Waits for all live lanes of `mask`, exchanges, and returns what this lane receives. `bytes` is the size of a shuffled
// value, `operand` the source lane, delta or lane mask of a shuffle.
EMU_EXPORT uint64_t warp_operation(WarpOp op, unsigned mask, uint64_t value, unsigned bytes, unsigned operand,
                                   int width, int line);

// Checks an atomic access; the caller then reads and writes the memory itself.
EMU_EXPORT void atomic_access(void* address, size_t bytes, int line);

// ------------------------------------------------------------------ what a compiled kernel file exports

struct Argument {      // one kernel argument, filled in by emulator.py (same layout there)
    uint64_t value;    // scalars: their bytes; pointers: the address
    uint64_t bytes;    // pointers: how much may be accessed from there on
    uint32_t itemsize; // pointers: bytes of an element; 0 for scalars
    uint32_t writable;
};

struct Kernel {
    const char* name;
    unsigned max_threads; // of __launch_bounds__
    unsigned n_parameters;
    const char* const* types;       // as spelled in Module.signatures
    void (*call)(const Argument*); // runs one thread
};

struct Module {
    const char* file; // for messages
    unsigned n_kernels;
    const Kernel* kernels;
    char* (*dynamic_shared)(); // the extern __shared__ array of the calling system thread

    // Filled in by emu_load.
    char *image_begin, *image_end; // the library in memory: constant tables
    size_t shared_bytes;           // all __shared__ variables, dynamic ones included
    size_t dynamic_offset;         // of the dynamic array in them
};

constexpr size_t SHARED_LIMIT = 48 << 10; // bytes a block may have without asking for more (CUDA's default limit)

} // namespace emu
