// Checks each access of a kernel to memory: bounds, alignment, initialisation, races (shadow.h).
//
// The compiler, told to instrument for its thread sanitizer, calls a function __tsan_* before each access; its own
// library for them is not linked, they are defined here. Likewise __ubsan_* for undefined behaviour in arithmetic. An
// access is in device memory, in the block's shared memory, on the thread's own stack, or an error.
#include "shadow.h"

#include <string.h>

#define RETURN_ADDRESS __builtin_return_address(0)
#define ALWAYS_INLINE static inline __attribute__((always_inline)) // with sizes and kinds as constants: fast

namespace emu {

enum class Kind { READ, WRITE, ATOMIC };

constexpr size_t STACK_LEFT = 32 << 10; // bytes of a stack that no kernel may use: reporting an error needs some

static const char* name_of(Kind kind) {
    static const char* const names[] = {"read", "write", "atomic access"};
    return names[static_cast<int>(kind)];
}

// ------------------------------------------------------------------ errors, out of line: the checks stay short

[[noreturn]] static void race(Kind kind, const char* earlier, const Accesses& with, Site site) {
    if (with.phase >= now.block_start && with.other_blocks)
        fail(site, "race: %s after %s by this block and another one, blocks are not ordered", name_of(kind), earlier);
    uint3 other = block_of(with.phase);
    const char* why = with.phase < now.block_start ? "blocks are not ordered" : "no barrier between";
    if (with.several_warps)
        fail(site, "race: %s after %s by several warps of block (%u,%u,%u), %s", name_of(kind), earlier, other.x,
             other.y, other.z, why);
    unsigned own = with.phase == now.phase && with.warp == now.thread->warp ? 1u << now.thread->lane : 0;
    unsigned lanes = with.lanes & ~own ? with.lanes & ~own : with.lanes;
    uint3 thread = thread_index_of(with.warp * WARP + __builtin_ctz(lanes));
    fail(site, "race: %s after %s by block (%u,%u,%u) thread (%u,%u,%u), %s", name_of(kind), earlier, other.x, other.y,
         other.z, thread.x, thread.y, thread.z, why);
}

// In a launch the windows say what may be touched; the nearest one is most likely what was meant.
[[noreturn]] static void out_of_bounds(const char* p, size_t size, Kind kind, Site site) {
    const Window* nearest = nullptr;
    size_t least = 0;
    for (const Window& window : windows) {
        size_t distance = p < window.begin ? window.begin - p : p >= window.end ? p - window.end + 1 : 0;
        if (nearest && distance >= least) continue;
        nearest = &window;
        least = distance;
    }
    if (!nearest) fail(site, "out-of-bounds %s of %zu bytes; the kernel has no array arguments", name_of(kind), size);
    const char* type = now.kernel->types[nearest->argument];
    if (least == 0 && p + size <= nearest->end) // only its being const can be the reason
        fail(site, "write of %zu bytes to argument %u (%s), which is const", size, nearest->argument, type);
    fail(site, "out-of-bounds %s of %zu bytes at byte %td of argument %u (%s, %td bytes)", name_of(kind), size,
         p - nearest->begin, nearest->argument, type, nearest->end - nearest->begin);
}

[[noreturn]] static void uninitialised(const Window& window, const char* p, size_t size, Kind kind, Site site) {
    fail(site, "%s of uninitialised memory: %zu bytes at byte %td of argument %u (%s)", name_of(kind), size,
         p - window.begin, window.argument, now.kernel->types[window.argument]);
}

// ------------------------------------------------------------------ rules

ALWAYS_INLINE void check_order(Cell& cell, Kind kind, uint64_t since, Site site) {
    if (cell.writes.conflict(since)) race(kind, "a write", cell.writes, site);
    if (kind != Kind::READ && cell.reads.conflict(since)) race(kind, "a read", cell.reads, site);
    if (kind != Kind::ATOMIC && cell.atomics.conflict(since)) race(kind, "an atomic access", cell.atomics, site);
    if (kind == Kind::READ) cell.reads.add(since);
    if (kind == Kind::WRITE) cell.writes.replace(); // earlier ones are ordered before this one: it stands for them
    if (kind == Kind::ATOMIC) cell.atomics.add(since);
}

// Reads and writes are left to -fsanitize=alignment, which knows their types: a struct of 12 bytes may lie at 4.
ALWAYS_INLINE void check_alignment(const char* p, size_t size, Kind kind, Site site) {
    if (kind == Kind::ATOMIC && reinterpret_cast<uintptr_t>(p) % size)
        fail(site, "misaligned %s of %zu bytes", name_of(kind), size);
}

// The window that allows this access, or null.
ALWAYS_INLINE const Window* find_window(const Slot& slot, const char* p, size_t size, Kind kind) {
    if (slot.launch != now.launch_start) return nullptr; // no argument lies in this slot
    for (const Window* window = slot.windows; window; window = window->next)
        if (p >= window->begin && p + size <= window->end && (kind == Kind::READ || window->writable)) return window;
    return nullptr;
}

ALWAYS_INLINE bool all_ones(const uint8_t* flags, size_t size) {
    static const uint8_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (; size > sizeof ones; size -= sizeof ones, flags += sizeof ones)
        if (memcmp(flags, ones, sizeof ones)) return false;
    return !memcmp(flags, ones, size);
}

ALWAYS_INLINE void check_global(char* p, size_t size, Kind kind, Site site) {
    Slot& slot = slots[size_t(p - region) >> SLOT_BITS];
    const Window* window = find_window(slot, p, size, kind);
    if (!window) out_of_bounds(p, size, kind, site);
    check_alignment(p, size, kind, site);
    size_t offset = p - slot.begin;
    if (kind != Kind::WRITE) {
        bool initialised = all_ones(slot.flags + offset, size);
        if (!initialised) uninitialised(*window, p, size, kind, site);
        now.bytes_read += size;
        if (now.sectors) count_sectors(p, size, site, now.sectors_read);
    }
    if (kind != Kind::READ) {
        memset(slot.flags + offset, 1, size);
        now.bytes_written += size;
        if (now.sectors) count_sectors(p, size, site, now.sectors_written);
    }
    if (size >> slot.granule_bits == 0)
        fail(site, "%s of %zu bytes in an array of %u-byte elements: the emulator keeps one record for each of those",
             name_of(kind), size, 1u << slot.granule_bits);
    size_t first = offset >> slot.granule_bits, last = (offset + size - 1) >> slot.granule_bits;
    for (size_t i = first; i <= last; i++) check_order(slot.cells[i], kind, now.launch_start, site);
}

ALWAYS_INLINE void check_shared(char* p, size_t size, Kind kind, Site site) {
    size_t offset = p - now.shared_begin;
    if (offset + size > now.module->shared_bytes || (p >= now.dynamic_begin && p < now.dynamic_begin + SHARED_LIMIT &&
                                                     p + size > now.dynamic_begin + now.dynamic_bytes))
        fail(site, "out-of-bounds %s of %zu bytes at byte %td of the dynamic shared memory (%zu bytes)", name_of(kind),
             size, p - now.dynamic_begin, now.dynamic_bytes);
    check_alignment(p, size, kind, site);
    now.bytes_shared += size;
    for (size_t i = offset; i < offset + size; i++) {
        Cell& cell = shared_cells[i];
        // Shared memory lives as long as its block, so only accesses of this block count, and only they initialise.
        if (kind != Kind::WRITE && cell.writes.phase < now.block_start)
            fail(site, "%s of uninitialised shared memory", name_of(kind));
        check_order(cell, kind, now.block_start, site);
    }
}

// Neither device nor shared memory.
static void check_elsewhere(char* p, size_t size, Kind kind, Site site) {
    if (!now.thread) return; // the library is being loaded
    if (kind != Kind::ATOMIC && p >= now.stack_begin && p + size <= now.stack_end) return;               // local arrays
    if (kind == Kind::READ && p >= now.module->image_begin && p + size <= now.module->image_end) return; // constants
    out_of_bounds(p, size, kind, site);
}

ALWAYS_INLINE void check(void* address, size_t size, Kind kind, Site site) {
    char* p = static_cast<char*>(address);
    count_step(site);
    if (size_t(p - region) < REGION_BYTES)
        check_global(p, size, kind, site);
    else if (now.module && size_t(p - now.shared_begin) < now.module->shared_bytes)
        check_shared(p, size, kind, site);
    else
        check_elsewhere(p, size, kind, site);
}

void atomic_access(void* address, size_t bytes, int line) {
    check(address, bytes, Kind::ATOMIC, {nullptr, line});
}

// ------------------------------------------------------------------ undefined behaviour

struct SourceLocation { // the compiler's description of a check begins with it
    const char* file;
    uint32_t line, column;
};

[[noreturn]] static void undefined(const char* what, const SourceLocation* where) {
    fail({nullptr, static_cast<int>(where->line)}, "undefined behaviour: %s", what);
}

} // namespace emu

// ------------------------------------------------------------------ what the compiler calls
using namespace emu;

extern "C" {

EMU_EXPORT void __tsan_init() {}

// Each function of a kernel file that calls another or accesses memory begins with this.
EMU_EXPORT void __tsan_func_entry(void*) {
    if (now.thread && static_cast<char*>(__builtin_frame_address(0)) < now.stack_begin + STACK_LEFT)
        fail({RETURN_ADDRESS, 0}, "stack overflow: an endless recursion, or local arrays beyond a device's 512 KB?");
}
EMU_EXPORT void __tsan_func_exit() {}

#define EMU_ACCESS(BYTES)                                                                                              \
    EMU_EXPORT void __tsan_read##BYTES(void* p) { check(p, BYTES, Kind::READ, {RETURN_ADDRESS, 0}); }                  \
    EMU_EXPORT void __tsan_write##BYTES(void* p) { check(p, BYTES, Kind::WRITE, {RETURN_ADDRESS, 0}); }                \
    EMU_EXPORT void __tsan_unaligned_read##BYTES(void* p) { check(p, BYTES, Kind::READ, {RETURN_ADDRESS, 0}); }        \
    EMU_EXPORT void __tsan_unaligned_write##BYTES(void* p) { check(p, BYTES, Kind::WRITE, {RETURN_ADDRESS, 0}); }      \
    EMU_EXPORT void __tsan_volatile_read##BYTES(void* p) { check(p, BYTES, Kind::READ, {RETURN_ADDRESS, 0}); }         \
    EMU_EXPORT void __tsan_volatile_write##BYTES(void* p) { check(p, BYTES, Kind::WRITE, {RETURN_ADDRESS, 0}); }
EMU_ACCESS(1)
EMU_ACCESS(2)
EMU_ACCESS(4)
EMU_ACCESS(8)
EMU_ACCESS(16)

EMU_EXPORT void __tsan_read_range(void* p, size_t bytes) { check(p, bytes, Kind::READ, {RETURN_ADDRESS, 0}); }
EMU_EXPORT void __tsan_write_range(void* p, size_t bytes) { check(p, bytes, Kind::WRITE, {RETURN_ADDRESS, 0}); }

// The operands follow the description; they are not decoded.
#define EMU_UNDEFINED(CHECK, WHAT)                                                                                     \
    EMU_EXPORT void __ubsan_handle_##CHECK(const SourceLocation* where) { undefined(WHAT, where); }
EMU_UNDEFINED(out_of_bounds_abort, "index outside the array's bounds")
EMU_UNDEFINED(add_overflow_abort, "signed overflow of +")
EMU_UNDEFINED(sub_overflow_abort, "signed overflow of -")
EMU_UNDEFINED(mul_overflow_abort, "signed overflow of *")
EMU_UNDEFINED(negate_overflow_abort, "signed overflow of a negation")
EMU_UNDEFINED(divrem_overflow_abort, "division by zero, or its result overflows")
EMU_UNDEFINED(shift_out_of_bounds_abort, "shift out of range")
EMU_UNDEFINED(float_cast_overflow_abort, "floating-point value outside the integer type's range")
EMU_UNDEFINED(type_mismatch_v1_abort, "misaligned access")
EMU_UNDEFINED(missing_return, "no return from a function with a result")
}
