// Correct programs of kinds that a checker could take for wrong ones.

typedef REAL real;
struct alignas(4 * sizeof(real)) quad {
    real v[4];
};

__device__ __constant__ int table[4] = {3, 1, 4, 1};

template <class T> __device__ __forceinline__ T block_sum(T value)
{
    __shared__ T parts[32];
    for (int d = 16; d > 0; d >>= 1) value += __shfl_down_sync(0xffffffffu, value, d);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    value = 0;
    for (unsigned i = 0; i < blockDim.x / 32; i++) value += parts[i];
    return value;
}

// Bytes next to each other belong to different threads, in global and in shared memory.
extern "C" __global__ void bytes(const unsigned char* __restrict__ x, unsigned char* __restrict__ y, int n)
{
    __shared__ unsigned char s[64];
    int i = blockIdx.x * blockDim.x + threadIdx.x, mirror = blockDim.x - 1 - threadIdx.x;
    s[threadIdx.x] = i < n ? x[i] : 0;
    __syncthreads();
    if (i < n) y[i] = s[mirror];
}

// Wide loads and stores, a constant table, a local array whose address is taken.
extern "C" __global__ void wide(const real* __restrict__ x, real* __restrict__ y, int n4)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n4) return;
    quad q = *(const quad*)(x + 4LL * i), r;
    for (int j = 0; j < 4; j++) r.v[j] = q.v[(j + i) % 4] * table[j];
    *(quad*)(y + 4LL * i) = r;
}

// Each thread alone reads and writes its element, through two parameters for the same array.
extern "C" __global__ void in_place(const real* x, real* y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] + 1;
}

// Sums over a block with a template's static shared memory; the same memory serves block after block.
extern "C" __global__ void block_sums(const real* __restrict__ x, real* __restrict__ y)
{
    real sum = block_sum(x[blockIdx.x * blockDim.x + threadIdx.x]);
    if (threadIdx.x == 0) y[blockIdx.x] = sum;
}

// A histogram: zeroed plainly, counted by atomics, read plainly, with barriers in between; then added to the global
// one.
extern "C" __global__ void __launch_bounds__(64) histogram(const unsigned char* __restrict__ x, int* counts, int n)
{
    __shared__ int s[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) s[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&s[x[i]], 1);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x)
        if (s[i]) atomicAdd(&counts[i], s[i]);
}

// Dynamic shared memory under two names; the size is the launch's.
extern "C" __global__ void reverse_dynamic(const real* __restrict__ x, real* __restrict__ y)
{
    extern __shared__ real buffer[];
    buffer[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = buffer[blockDim.x - 1 - threadIdx.x];
}

extern "C" __global__ void reverse_dynamic_int(const int* __restrict__ x, int* __restrict__ y)
{
    extern __shared__ int words[];
    words[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = words[blockDim.x - 1 - threadIdx.x];
}

// Parts of a warp synchronise among themselves, while the other lanes wait for the whole warp already.
extern "C" __global__ void subgroups(int* __restrict__ y)
{
    __shared__ int s[32];
    int t = threadIdx.x;
    s[t] = t;
    if (t < 16) {
        __syncwarp(0x0000ffffu);
        int v = s[15 - t];
        __syncwarp(0x0000ffffu);
        s[t] = v;
    }
    __syncwarp();
    y[t] = s[31 - t];
}

// Order is passed on: lane 0 before 1 before 2, though no __syncwarp names both 0 and 2.
extern "C" __global__ void chain_of_lanes(int* __restrict__ y)
{
    __shared__ int s;
    int t = threadIdx.x;
    if (t == 0) s = 5;
    if (t <= 1) __syncwarp(0x3u);
    if (t == 1 || t == 2) __syncwarp(0x6u);
    if (t == 2) y[0] = s;
}

// The first lane sets a counter plainly; all count by atomics after a __syncwarp. Shuffles in between order nothing.
extern "C" __global__ void warp_counter(int* __restrict__ y)
{
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncwarp();
    atomicAdd(&count, 1);
    __shfl_sync(0xffffffffu, 0, 0);
    atomicAdd(&count, 1);
    __syncwarp();
    y[threadIdx.x] = count;
}

// Lanes that have returned, or never were, are not waited for: block sizes that are no multiple of 32.
extern "C" __global__ void partial_warp(int* __restrict__ y, int n)
{
    int t = threadIdx.x;
    if (t >= n) return;
    unsigned present = __ballot_sync(0xffffffffu, 1);
    int missing = __shfl_sync(0xffffffffu, t % 32, 31); // of a lane that is not there: no lane's number
    y[t] = (missing < 0 || missing > 31) && __all_sync(0xffffffffu, 1) ? __popc(present) : 0;
}
