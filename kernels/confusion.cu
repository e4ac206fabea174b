// How often each true class was predicted as each class. Counts are integers, so atomics give the same sums in any order.
//
// NumPy    np.add.at(counts, (labels, predictions), 1)        without the pixels labelled ignore_label
// Threads  one pixel a thread, striding over all. Up to 32 classes a block counts in shared memory, where neighbours of one
//          class meet on a fast atomic, and adds its counts to the result once; beyond, straight in global memory
// Launch   block bx, grid any
// Traffic  reads 5 bytes a pixel
//
// The same source for float and double: it has no real numbers.

#define CELLS 1024 // of shared counts: 32 x 32 classes

// labels, predictions (P,); counts (L L + 1,), zero at first: row: true class, column: predicted class; the last cell counts
// pixels whose label or prediction is no class
extern "C" __global__ void confusion(const int* __restrict__ labels, const unsigned char* __restrict__ predictions,
                                     unsigned long long* __restrict__ counts, long long P, int L, int ignore_label)
{
    __shared__ unsigned int block_counts[CELLS];
    bool shared = L * L <= CELLS;
    for (int i = threadIdx.x; i < CELLS; i += blockDim.x) block_counts[i] = 0;
    __syncthreads();

    long long threads = (long long)gridDim.x * blockDim.x;
    for (long long p = (long long)blockIdx.x * blockDim.x + threadIdx.x; p < P; p += threads) {
        int label = labels[p], prediction = predictions[p];
        if (label == ignore_label) continue;
        if (label < 0 || label >= L || prediction >= L)
            atomicAdd(&counts[(long long)L * L], 1ull);
        else if (shared)
            atomicAdd(&block_counts[label * L + prediction], 1u);
        else
            atomicAdd(&counts[(long long)label * L + prediction], 1ull);
    }

    __syncthreads();
    if (shared)
        for (int i = threadIdx.x; i < L * L; i += blockDim.x)
            if (block_counts[i] > 0) atomicAdd(&counts[i], (unsigned long long)block_counts[i]);
}
