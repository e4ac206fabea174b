// Device memory: where arrays lie, and which parts of them the running launch may touch.
//
// One reservation of address space, cut into slots of 64 GB; an array lies in the middle of a slot of its own. What is
// reserved costs nothing until it is touched. The same holds for an array's records, a mapping elsewhere: one flag a
// byte, "has been written", and one Cell an element. An index that is wrong, even by gigabytes, so ends between the
// arrays, and checks.cpp lets a kernel touch nothing but its arguments anyway.
#include "shadow.h"

#include <algorithm>
#include <deque>
#include <sys/mman.h>

namespace emu {

constexpr size_t LEAD = size_t(16) << 30;    // from a slot's beginning to the array
constexpr size_t LARGEST = size_t(32) << 30; // so that 16 GB follow
constexpr size_t PAGE = 4096;

char* region;
Slot slots[N_SLOTS];
Cell* shared_cells;
std::vector<Window> windows;
static std::deque<unsigned> free_slots; // first in, first out: an address is not used again soon

static char* map(void* address, size_t bytes, int protection, int flags) {
    void* mapped = mmap(address, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    return mapped == MAP_FAILED ? nullptr : static_cast<char*>(mapped);
}

static size_t in_pages(size_t bytes) {
    return (std::max(bytes, size_t(1)) + PAGE - 1) / PAGE * PAGE;
}

static size_t shadow_bytes(size_t bytes) {
    return in_pages(bytes) + in_pages(bytes * sizeof(Cell)); // enough cells for elements of one byte
}

// The slot that holds [address, address + bytes), or null.
static Slot* find_slot(const char* address, size_t bytes) {
    size_t offset = address - region;
    if (!region || offset >= REGION_BYTES) return nullptr;
    Slot& slot = slots[offset >> SLOT_BITS];
    bool inside = slot.begin && address >= slot.begin && address + bytes <= slot.begin + slot.bytes;
    return inside ? &slot : nullptr;
}

bool open_windows(const Argument* arguments, unsigned n) {
    windows.clear();
    windows.reserve(n); // they point to each other
    for (unsigned i = 0; i < n; i++) {
        const Argument& argument = arguments[i];
        if (!argument.itemsize) continue; // a scalar
        char* begin = reinterpret_cast<char*>(argument.value);
        Slot* slot = find_slot(begin, argument.bytes);
        if (!slot) return false;
        unsigned granule_bits = __builtin_ctz(argument.itemsize);
        bool first = slot->launch != now.launch_start;
        slot->granule_bits = first ? granule_bits : std::min(slot->granule_bits, granule_bits);
        windows.push_back({begin, begin + argument.bytes, argument.writable != 0, i, first ? nullptr : slot->windows});
        slot->windows = &windows.back();
        slot->launch = now.launch_start;
    }
    return true;
}

} // namespace emu

// ------------------------------------------------------------------ for emulator.py
using namespace emu;

extern "C" {

EMU_EXPORT int emu_reserve() { // once; 0: no such address space
    region = map(nullptr, REGION_BYTES, PROT_NONE, 0);
    // Static variables have at most SHARED_LIMIT, else no launch is valid; so has the dynamic array.
    size_t cells = 2 * SHARED_LIMIT;
    shared_cells = reinterpret_cast<Cell*>(map(nullptr, cells * sizeof(Cell), PROT_READ | PROT_WRITE, 0));
    if (!region || !shared_cells) return 0;
    for (unsigned i = 0; i < N_SLOTS; i++) free_slots.push_back(i);
    return 1;
}

EMU_EXPORT char* emu_allocate(size_t bytes) { // null: too large, or no slot or memory left
    if (bytes > LARGEST || free_slots.empty()) return nullptr;
    unsigned i = free_slots.front();
    char* begin = region + (size_t(i) << SLOT_BITS) + LEAD;
    char* shadow = map(nullptr, shadow_bytes(bytes), PROT_READ | PROT_WRITE, 0);
    if (!shadow) return nullptr;
    if (!map(begin, in_pages(bytes), PROT_READ | PROT_WRITE, MAP_FIXED)) {
        munmap(shadow, shadow_bytes(bytes));
        return nullptr;
    }
    free_slots.pop_front();
    slots[i].begin = begin;
    slots[i].bytes = bytes;
    slots[i].flags = reinterpret_cast<uint8_t*>(shadow);
    slots[i].cells = reinterpret_cast<Cell*>(shadow + in_pages(bytes));
    return begin;
}

EMU_EXPORT void emu_free(char* begin) {
    Slot& slot = slots[(begin - region) >> SLOT_BITS];
    map(begin, in_pages(slot.bytes), PROT_NONE, MAP_FIXED); // gives the pages back and closes them
    munmap(slot.flags, shadow_bytes(slot.bytes));
    slot = Slot();
    free_slots.push_back((begin - region) >> SLOT_BITS);
}

// Where the flags of [address, address + bytes) stand; null if that does not lie in one array.
EMU_EXPORT uint8_t* emu_flags(const char* address, size_t bytes) {
    Slot* slot = find_slot(address, bytes);
    return slot ? slot->flags + (address - slot->begin) : nullptr;
}
}
