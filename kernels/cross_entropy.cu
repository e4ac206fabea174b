// Softmax cross-entropy and its gradient, in one pass over the pixels.
//
// NumPy    p = exp(s - s.max()); p /= p.sum()                              for each pixel's scores s (L,)
//          loss += w[label] * -log(p[label]);  weight += w[label]          void pixels: nothing
//          ds = w[label] * (p - [l == label])                              void pixels: 0, whatever s holds
// Threads  a warp takes one pixel at a time, its lanes the classes in turn; warps stride over the pixels. Maximum and sum
//          go through warp shuffles. Each block adds up its pixels and writes one partial sum; the host adds those, so
//          the order of all sums depends on the launch shape alone: no float atomics, the same bits every time
// Launch   block bx, grid any; any bx up to 1024
// Traffic  reads 3 numbers an element of scores (from the cache after the first time), writes 1; each lane also reads its
//          pixel's label, that class's weight and score: one access for all lanes
//
// compiled with -DREAL=float and with -DREAL=double
typedef REAL real;

// The lanes of this thread's warp that exist: the last warp of a block may have fewer than 32.
__device__ __forceinline__ int lanes() { return min(32, (int)(blockDim.x - threadIdx.x / 32 * 32)); }

__device__ __forceinline__ unsigned int lane_mask(int lanes) { return 0xffffffffu >> (32 - lanes); }

// Every lane gets the largest v of its warp.
__device__ real warp_max(real v, int lanes)
{
    unsigned int mask = lane_mask(lanes);
    for (int step = 16; step > 0; step /= 2) {
        real other = __shfl_down_sync(mask, v, step);
        if ((int)threadIdx.x % 32 + step < lanes) v = v < other ? other : v;
    }
    return __shfl_sync(mask, v, 0);
}

// Every lane gets the sum of v over its warp.
template <typename T>
__device__ T warp_sum(T v, int lanes)
{
    unsigned int mask = lane_mask(lanes);
    for (int step = 16; step > 0; step /= 2) {
        T other = __shfl_down_sync(mask, v, step);
        if ((int)threadIdx.x % 32 + step < lanes) v += other;
    }
    return __shfl_sync(mask, v, 0);
}

// scores, dscores (P, L); labels (P,), 0 .. L-1 or ignore_label; class_weight (L,); sums (gridDim.x, 2): each block's loss
// and weight
extern "C" __global__ void cross_entropy(const real* __restrict__ scores, const int* __restrict__ labels,
                                         const real* __restrict__ class_weight, real* __restrict__ dscores,
                                         double* __restrict__ sums, long long P, int L, int ignore_label)
{
    __shared__ double warp_loss[32], warp_weight[32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
    int width = lanes();
    double loss = 0, weight = 0; // of this warp's pixels

    for (long long p = (long long)blockIdx.x * warps + warp; p < P; p += (long long)gridDim.x * warps) {
        const real* s = scores + p * L;
        real* ds = dscores + p * L;
        int label = labels[p];
        if (label == ignore_label) { // the same for the whole warp
            for (int l = lane; l < L; l += width) ds[l] = 0;
            continue;
        }
        real largest = -__int_as_float(0x7f800000); // -infinity
        for (int l = lane; l < L; l += width) largest = largest < s[l] ? s[l] : largest;
        largest = warp_max(largest, width);

        real total = 0;
        for (int l = lane; l < L; l += width) total += exp(s[l] - largest);
        total = warp_sum(total, width);

        real w = class_weight[label];
        for (int l = lane; l < L; l += width) ds[l] = w * (exp(s[l] - largest) / total - (l == label));
        loss += (double)w * (log(total) - (s[label] - largest));
        weight += w;
    }

    if (lane == 0) {
        warp_loss[warp] = loss;
        warp_weight[warp] = weight;
    }
    __syncthreads();
    if (warp == 0) { // the first warp adds up all warps, of which there are no more than it has lanes
        loss = warp_sum(lane < warps ? warp_loss[lane] : 0, width);
        weight = warp_sum(lane < warps ? warp_weight[lane] : 0, width);
        if (lane == 0) {
            sums[2 * blockIdx.x] = loss;
            sums[2 * blockIdx.x + 1] = weight;
        }
    }
}
