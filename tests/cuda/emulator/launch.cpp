// A launch from beginning to end, its errors, and the functions that emulator.py calls.
#include "scheduler.h"

#include <algorithm>
#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace emu {

Now now;
Block block;

uint3 thread_index() { return now.thread->index; }
uint3 block_index() { return block.index; }
dim3 block_size() { return block.size; }
dim3 grid_size() { return block.grid; }

// ------------------------------------------------------------------ numbers and indices

static uint3 split(uint64_t linear, dim3 size) { // x runs fastest
    return {unsigned(linear % size.x), unsigned(linear / size.x % size.y), unsigned(linear / size.x / size.y)};
}

uint3 thread_index_of(unsigned linear) { return split(linear, block.size); }
uint3 block_index_of(uint64_t linear) { return split(linear, block.grid); }

struct Started { // the blocks of this launch, in the order they ran
    uint64_t first_phase, linear;
};
static std::vector<Started> started;

uint3 block_of(uint64_t phase) {
    auto after = std::upper_bound(started.begin(), started.end(), phase,
                                  [](uint64_t p, const Started& block) { return p < block.first_phase; });
    return block_index_of((after - 1)->linear);
}

// ------------------------------------------------------------------ errors

static char error[2048];
static ptrdiff_t error_offset; // of the code at fault in the kernel's library, or 0

bool launch_failed() { return error[0] != 0; }

static void note(Site site, const char* format, va_list values) {
    size_t n = 0;
    auto left = [&] { return n < sizeof error ? sizeof error - n : 0; };
    n += snprintf(error, sizeof error, "block (%u,%u,%u) ", block.index.x, block.index.y, block.index.z);
    if (now.thread) {
        uint3 thread = now.thread->index;
        n += snprintf(error + n, left(), "thread (%u,%u,%u): ", thread.x, thread.y, thread.z);
    }
    n += vsnprintf(error + n, left(), format, values);
    if (site.line && n < sizeof error) snprintf(error + n, left(), " at %s:%d", now.module->file, site.line);
    error_offset = site.address ? static_cast<const char*>(site.address) - now.module->image_begin : 0;
}

void note_error(Site site, const char* format, ...) {
    va_list values;
    va_start(values, format);
    note(site, format, values);
    va_end(values);
}

void fail(Site site, const char* format, ...) {
    va_list values;
    va_start(values, format);
    note(site, format, values);
    va_end(values);
    abandon();
}

// ------------------------------------------------------------------ loading

// The library that holds the module, and its thread-local block, which holds all __shared__ variables.
static int find_library(dl_phdr_info* info, size_t, void* data) {
    Module& module = *static_cast<Module*>(data);
    char *address = reinterpret_cast<char*>(&module), *begin = reinterpret_cast<char*>(info->dlpi_addr), *end = begin;
    const ElfW(Phdr)* local = nullptr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr)& part = info->dlpi_phdr[i];
        if (part.p_type == PT_LOAD) end = std::max(end, begin + part.p_vaddr + part.p_memsz);
        if (part.p_type == PT_TLS) local = &part;
    }
    if (address < begin || address >= end || !local) return 0;
    module.image_begin = begin;
    module.image_end = end;
    module.shared_bytes = local->p_memsz;
    module.dynamic_offset = module.dynamic_shared() - static_cast<char*>(info->dlpi_tls_data);
    return 1; // stop
}

} // namespace emu

// ------------------------------------------------------------------ for emulator.py
using namespace emu;

extern "C" {

struct Launch { // same layout there
    dim3 grid, block;
    uint64_t shared, seed, order, n_blocks;
    const uint64_t* blocks; // linear numbers; null: all
    const Argument* arguments;
    uint64_t count_sectors;
    double block_seconds;
    uint64_t bytes_read, bytes_written, bytes_shared, sectors_read, sectors_written; // results
};

EMU_EXPORT size_t emu_load(Module* module) { // returns the bytes of its static shared variables
    module->dynamic_shared();                // the thread-local block exists from the first use on
    dl_iterate_phdr(find_library, module);
    return module->shared_bytes - SHARED_LIMIT;
}

EMU_EXPORT unsigned emu_kernel_count(const Module* module) { return module->n_kernels; }
EMU_EXPORT const Kernel* emu_kernel(const Module* module, unsigned i) { return &module->kernels[i]; }
EMU_EXPORT const char* emu_kernel_name(const Kernel* kernel) { return kernel->name; }
// Of the i-th parameter; null after the last.
EMU_EXPORT const char* emu_kernel_type(const Kernel* kernel, unsigned i) { return kernel->types[i]; }
EMU_EXPORT unsigned emu_kernel_max_threads(const Kernel* kernel) { return kernel->max_threads; }
EMU_EXPORT const char* emu_error() { return error; }
EMU_EXPORT size_t emu_error_offset() { return error_offset; }

static void prepare(const Module* module, const Kernel* kernel, const Launch* launch) {
    error[0] = 0;
    block.grid = launch->grid;
    now.module = module;
    now.kernel = kernel;
    now.arguments = launch->arguments;
    now.dynamic_begin = module->dynamic_shared();
    now.shared_begin = now.dynamic_begin - module->dynamic_offset;
    now.dynamic_bytes = launch->shared;
    now.launch_start = now.block_start = ++now.phase;
    now.bytes_read = now.bytes_written = now.bytes_shared = now.sectors_read = now.sectors_written = 0;
    now.sectors = launch->count_sectors;
    set_order(static_cast<Order>(launch->order), launch->seed);
    set_poison(static_cast<Order>(launch->order), launch->seed);
}

// Which block runs i-th. In random order the whole list is needed.
static uint64_t block_at(const Launch* launch, const std::vector<uint64_t>& shuffled, uint64_t i) {
    if (!shuffled.empty()) return shuffled[i];
    uint64_t at = static_cast<Order>(launch->order) == Order::REVERSE ? launch->n_blocks - 1 - i : i;
    return launch->blocks ? launch->blocks[at] : at;
}

// 0: done. 1: see emu_error. 2: an array argument does not lie in device memory.
EMU_EXPORT int emu_launch(const Module* module, const Kernel* kernel, Launch* launch) {
    prepare(module, kernel, launch);
    if (!open_windows(launch->arguments, kernel->n_parameters)) return 2;
    std::vector<uint64_t> shuffled;
    if (static_cast<Order>(launch->order) == Order::RANDOM)
        for (uint64_t i = 0; i < launch->n_blocks; i++) {
            shuffled.push_back(launch->blocks ? launch->blocks[i] : i);
            std::swap(shuffled[i], shuffled[random_below(i + 1)]);
        }
    started.clear();
    watch(launch->block_seconds);
    for (uint64_t i = 0; i < launch->n_blocks && !launch_failed(); i++) {
        uint64_t linear = block_at(launch, shuffled, i);
        started.push_back({now.phase + 1, linear});
        run_block(block_index_of(linear), launch->block);
    }
    unwatch();
    now.thread = nullptr;
    if (launch_failed()) discard_fibers();
    launch->bytes_read = now.bytes_read;
    launch->bytes_written = now.bytes_written;
    launch->bytes_shared = now.bytes_shared;
    launch->sectors_read = now.sectors_read;
    launch->sectors_written = now.sectors_written;
    return launch_failed();
}
}
