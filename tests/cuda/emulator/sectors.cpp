// What a launch's warps ask of memory: sectors of 32 bytes, the least that a GPU moves.
//
// A GPU runs the 32 lanes of a warp together. When they access global memory, it fetches or writes each sector that one
// of them touches, once: 4 sectors for 32 neighbouring floats, 32 for floats that lie 32 bytes or more apart. Here
// threads run one by one, so a request is put together afterwards: a lane's n-th access from one place of the code
// belongs with the n-th of the others from there. (Where lanes skip turns of a loop, a GPU may divide requests
// otherwise.)
#include "runtime.h"

#include <unordered_map>
#include <unordered_set>

namespace emu {

struct Key {
    uint64_t place, who, number;
    bool operator==(const Key& k) const { return place == k.place && who == k.who && number == k.number; }
};
struct Hash {
    size_t operator()(const Key& k) const {
        uint64_t h = k.place;
        for (uint64_t part : {k.who, k.number}) h = (h ^ part) * 0x9E3779B97F4A7C15ull, h ^= h >> 29;
        return h;
    }
};
static std::unordered_map<Key, uint64_t, Hash> turns; // of a thread at a place: how often it has been there
static std::unordered_set<Key, Hash> touched;         // by a request: these sectors

void forget_requests() {
    turns.clear();
    touched.clear();
}

void count_sectors(const char* p, size_t size, Site site, uint64_t& sectors) {
    const Thread& me = *now.thread;
    uint64_t place = reinterpret_cast<uintptr_t>(site.address) + site.line;
    uint64_t turn = turns[{place, me.warp * uint64_t(WARP) + me.lane, 0}]++;
    auto begin = reinterpret_cast<uintptr_t>(p);
    for (uint64_t sector = begin / SECTOR; sector <= (begin + size - 1) / SECTOR; sector++)
        if (touched.insert({place, turn << 5 | me.warp, sector}).second) sectors++;
}

} // namespace emu
