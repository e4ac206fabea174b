// Worked examples of NVIDIA's CUDA C++ Programming Guide, with their results stored where the guide prints them.
// test_emulator_semantics.py names the section of each and says what comes out.

typedef REAL real;

// Warp Shuffle Functions, "Broadcast of a single value across a warp"
extern "C" __global__ void broadcast(int* __restrict__ y, int argument)
{
    int lane = threadIdx.x & 0x1f;
    int value = -1;
    if (lane == 0) value = argument;
    value = __shfl_sync(0xffffffff, value, 0);
    y[threadIdx.x] = value;
}

// Warp Shuffle Functions, "Inclusive plus-scan across sub-partitions of 8 threads"
extern "C" __global__ void scan8(int* __restrict__ y)
{
    int lane = threadIdx.x & 0x1f;
    int value = 31 - lane;
    for (int i = 1; i <= 4; i *= 2) {
        int n = __shfl_up_sync(0xffffffff, value, i, 8);
        if ((lane & 7) >= i) value += n;
    }
    y[threadIdx.x] = value;
}

// Warp Shuffle Functions, "Reduction across a warp"
extern "C" __global__ void warp_reduce(real* __restrict__ y)
{
    real value = 31 - (threadIdx.x & 0x1f);
    for (int i = 16; i >= 1; i /= 2) value += __shfl_xor_sync(0xffffffff, value, i, 32);
    y[threadIdx.x] = value;
}

// Warp Shuffle Functions, "Description": one row of 32 results a mode. Lane l gives 100 + l.
extern "C" __global__ void shuffle_table(const int* __restrict__ sources, int* __restrict__ y, int operand, int width)
{
    int lane = threadIdx.x, value = 100 + lane;
    y[lane] = __shfl_sync(0xffffffff, value, sources[lane], width);
    y[32 + lane] = __shfl_up_sync(0xffffffff, value, operand, width);
    y[64 + lane] = __shfl_down_sync(0xffffffff, value, operand, width);
    y[96 + lane] = __shfl_xor_sync(0xffffffff, value, operand, width);
}

// Warp Vote Functions
extern "C" __global__ void votes(const int* __restrict__ x, unsigned int* __restrict__ ballot, int* __restrict__ any,
                                 int* __restrict__ all)
{
    int t = threadIdx.x;
    ballot[t] = __ballot_sync(0xffffffff, x[t]);
    any[t] = __any_sync(0xffffffff, x[t]);
    all[t] = __all_sync(0xffffffff, x[t]);
}

// Atomic Functions: atomicAdd for double by atomicCAS. The guide reads the first value plainly. That races with the
// other threads' atomics; devices get by with it, the emulator reports it, so it is an atomic here.
__device__ double atomic_add_double(double* address, double value)
{
    unsigned long long* bits = (unsigned long long*)address;
    unsigned long long old = atomicAdd(bits, 0ull), assumed;
    do {
        assumed = old;
        old = atomicCAS(bits, assumed, __double_as_longlong(value + __longlong_as_double(assumed)));
    } while (assumed != old);
    return __longlong_as_double(old);
}

extern "C" __global__ void sum_by_cas(double* total, const double* __restrict__ x, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomic_add_double(total, x[i]);
}

// Atomic Functions: each on one element that starts as 12, with operand 10; all threads add up in y[0].
extern "C" __global__ void atomics(int* y, unsigned int* u, unsigned long long* q)
{
    atomicAdd(&y[0], 1);
    atomicSub(&y[1], 1);
    atomicMin(&y[2], 10);
    atomicMax(&y[3], (int)threadIdx.x);
    atomicAnd(&u[0], 10u);
    atomicOr(&u[1], 1u << (threadIdx.x & 31));
    atomicXor(&u[2], 10u);
    atomicExch(&u[3], 7u);
    atomicAdd(&q[0], 1ull << 40);
    atomicCAS(&q[1], 12ull, 1000ull + threadIdx.x); // only the first thread finds 12
}

// Shared Memory: the matrix product by tiles, C = A B for matrices whose sizes are multiples of the tile.
#define BLOCK_SIZE 8
extern "C" __global__ void matmul(const real* __restrict__ A, const real* __restrict__ B, real* __restrict__ C,
                                  int width_a, int width_b)
{
    __shared__ real As[BLOCK_SIZE][BLOCK_SIZE];
    __shared__ real Bs[BLOCK_SIZE][BLOCK_SIZE];
    int row = threadIdx.y, col = threadIdx.x;
    real value = 0;
    for (int m = 0; m < width_a / BLOCK_SIZE; ++m) {
        As[row][col] = A[(long long)(blockIdx.y * BLOCK_SIZE + row) * width_a + m * BLOCK_SIZE + col];
        Bs[row][col] = B[(long long)(m * BLOCK_SIZE + row) * width_b + blockIdx.x * BLOCK_SIZE + col];
        __syncthreads();
        #pragma unroll
        for (int e = 0; e < BLOCK_SIZE; ++e) value += As[row][e] * Bs[e][col];
        __syncthreads();
    }
    C[(long long)(blockIdx.y * BLOCK_SIZE + row) * width_b + blockIdx.x * BLOCK_SIZE + col] = value;
}

// Independent Thread Scheduling: a sum over a warp through shared memory needs __syncwarp between each read and write.
extern "C" __global__ void warp_sum_shared(const int* __restrict__ x, int* __restrict__ y)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = x[t];
    s[t + 32] = 0;
    __syncwarp();
    int v = s[t];
    for (int d = 16; d > 0; d /= 2) {
        v += s[t + d];
        __syncwarp();
        s[t] = v;
        __syncwarp();
    }
    if (t == 0) y[0] = v;
}
