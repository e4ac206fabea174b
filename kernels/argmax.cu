// The class with the highest score at each pixel; of equal ones the first, and NaN is higher than everything.
//
// NumPy    classes = scores.argmax(axis=1).astype(np.uint8)
// Threads  a warp takes one pixel, its lanes the classes in turn; a warp shuffle finds the best of the lanes' best
// Launch   block bx, grid ceil(P / warps), warps = ceil(bx / 32)
// Traffic  reads 1 number an element of scores, writes 1 byte a pixel
//
// compiled with -DREAL=float and with -DREAL=double
typedef REAL real;

// Whether score a of class i comes before score b of class j.
__device__ __forceinline__ bool before(real a, int i, real b, int j)
{
    bool a_nan = a != a, b_nan = b != b;
    if (a_nan != b_nan) return a_nan;
    if (a_nan || a == b) return i < j;
    return a > b;
}

// scores (P, L), L at most 256; classes (P,)
extern "C" __global__ void argmax(const real* __restrict__ scores, unsigned char* __restrict__ classes, long long P,
                                  int L)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
    int width = min(32, (int)blockDim.x - 32 * warp); // lanes that exist: the last warp may have fewer
    unsigned int mask = 0xffffffffu >> (32 - width);
    long long p = (long long)blockIdx.x * warps + warp;
    if (p >= P) return; // the whole warp

    real best = -__int_as_float(0x7f800000); // -infinity
    int winner = L;                          // behind every class: a lane without one never wins
    for (int l = lane; l < L; l += width)
        if (before(scores[p * L + l], l, best, winner)) {
            best = scores[p * L + l];
            winner = l;
        }
    for (int step = 16; step > 0; step /= 2) {
        real other = __shfl_down_sync(mask, best, step);
        int other_class = __shfl_down_sync(mask, winner, step);
        if (lane + step < width && before(other, other_class, best, winner)) {
            best = other;
            winner = other_class;
        }
    }
    if (lane == 0) classes[p] = (unsigned char)winner;
}
