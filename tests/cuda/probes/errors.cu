// One kernel an error. The lines that may be reported end in `// !`; which of them depends on the order of the threads.
// All take x (64 floats), y (64 floats, not initialised), k (64 ints, all 0) and n = 64, and run in blocks of 32 or 64.

struct alignas(16) quad {
    float v[4];
};
#define PARAMETERS const float *x, float *y, int *k, int n

extern "C" __global__ void fine(PARAMETERS) { y[threadIdx.x] = x[threadIdx.x] + n; }

// ------------------------------------------------------------------ bounds
extern "C" __global__ void read_one_past_the_end(PARAMETERS)
{
    y[threadIdx.x] = x[threadIdx.x + 1]; // !
}
extern "C" __global__ void write_one_past_the_end(PARAMETERS)
{
    y[threadIdx.x + 1] = 0; // !
}
extern "C" __global__ void read_a_whole_array_further(PARAMETERS)
{
    y[threadIdx.x] = x[threadIdx.x + n]; // !
}
extern "C" __global__ void write_four_gigabytes_further(PARAMETERS)
{
    y[threadIdx.x + (1ll << 30)] = 0; // !
}
extern "C" __global__ void read_of_another_argument(PARAMETERS)
{
    y[threadIdx.x] = x[(float*)k - x]; // fine
    y[threadIdx.x] = x[(float*)k - x + 64]; // !
}
extern "C" __global__ void negative_index(PARAMETERS)
{
    y[threadIdx.x] = x[(int)threadIdx.x - 1]; // !
}
extern "C" __global__ void null_pointer(PARAMETERS)
{
    float* nothing = y - (y - (float*)0);
    nothing[threadIdx.x] = 0; // !
}
extern "C" __global__ void wide_load_over_the_end(PARAMETERS)
{
    quad q = *(const quad*)(x + 4 * (threadIdx.x + 1)); // !
    for (int i = 0; i < 4; i++) y[4 * threadIdx.x + i] = q.v[i];
}
extern "C" __global__ void write_to_const(PARAMETERS)
{
    ((float*)x)[threadIdx.x] = 0; // !
}
extern "C" __global__ void misaligned_wide_load(PARAMETERS)
{
    quad q = *(const quad*)(x + 1 + 4 * (threadIdx.x & 3)); // !
    for (int i = 0; i < 4; i++) y[4 * threadIdx.x + i] = q.v[i];
}
extern "C" __global__ void misaligned_float(PARAMETERS)
{
    y[threadIdx.x] = *(const float*)((const unsigned char*)x + 2); // !
}
extern "C" __global__ void misaligned_atomic(PARAMETERS)
{
    atomicAdd((int*)((unsigned char*)k + 2), 1); // !
}
extern "C" __global__ void index_outside_static_array(PARAMETERS)
{
    __shared__ float s[32], next[32];
    s[threadIdx.x] = next[threadIdx.x] = 0;
    s[threadIdx.x + 1] = 0; // !
}
extern "C" __global__ void index_outside_local_array(PARAMETERS)
{
    float v[4] = {0, 1, 2, 3};
    y[threadIdx.x] = v[threadIdx.x]; // !
}
extern "C" __global__ void outside_dynamic_shared(PARAMETERS)
{
    extern __shared__ float dynamic[];
    dynamic[threadIdx.x] = 0; // !
}

// ------------------------------------------------------------------ what nobody wrote
extern "C" __global__ void uninitialised_global(PARAMETERS)
{
    k[threadIdx.x] = y[threadIdx.x] > 0; // !
}
extern "C" __global__ void uninitialised_shared(PARAMETERS)
{
    __shared__ float s[64];
    if (threadIdx.x != 7) s[threadIdx.x] = 0;
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x]; // !
}
extern "C" __global__ void uninitialised_half_of_a_double(PARAMETERS)
{
    __shared__ __align__(8) float s[2];
    s[0] = 0;
    y[0] = *(const double*)s; // !
}
extern "C" __global__ void uninitialised_shared_counter(PARAMETERS)
{
    __shared__ int count;
    atomicAdd(&count, 1); // !
}
extern "C" __global__ void shared_of_the_block_before(PARAMETERS)
{
    __shared__ float s[64];
    if (blockIdx.x == 0) s[threadIdx.x] = 0;
    __syncthreads();
    y[blockIdx.x * blockDim.x + threadIdx.x] = s[threadIdx.x]; // !
}

// ------------------------------------------------------------------ races
extern "C" __global__ void race_write_write_shared(PARAMETERS)
{
    __shared__ float s[1];
    s[0] = threadIdx.x; // !
    __syncthreads();
    y[threadIdx.x] = s[0]; // a value that nobody reads is not even written
}
extern "C" __global__ void race_read_write_shared(PARAMETERS)
{
    __shared__ float s[65];
    s[threadIdx.x] = 0; // !
    if (threadIdx.x == 0) s[64] = 0; // !
    y[threadIdx.x] = s[threadIdx.x + 1]; // !
}
extern "C" __global__ void race_second_of_two_barriers_missing(PARAMETERS)
{
    __shared__ float s[64];
    for (int i = 0; i < 2; i++) {
        s[threadIdx.x] = i; // !
        __syncthreads();
        y[threadIdx.x] = s[63 - threadIdx.x]; // !
    }
}
extern "C" __global__ void race_for_half_of_a_double(PARAMETERS)
{
    __shared__ double s[1];
    if (threadIdx.x == 0) s[0] = 0;
    __syncthreads();
    if (threadIdx.x == 1)
        s[0] = n; // !
    else if (threadIdx.x == 2)
        y[0] = ((const float*)s)[1]; // !
}
extern "C" __global__ void race_of_two_warps(PARAMETERS)
{
    __shared__ float s[64];
    s[threadIdx.x] = 0; // !
    __syncwarp(); // orders lanes of one warp only
    y[threadIdx.x] = s[63 - threadIdx.x]; // !
}
extern "C" __global__ void race_write_after_reads_of_a_warp(PARAMETERS)
{
    __shared__ float s[1];
    if (threadIdx.x == 0) s[0] = 1;
    __syncwarp();
    y[threadIdx.x] = s[0]; // !
    if (threadIdx.x == 3) s[0] = 2; // !
}
extern "C" __global__ void race_write_after_reads_of_two_warps(PARAMETERS)
{
    __shared__ float s[1];
    if (threadIdx.x == 0) s[0] = 1;
    __syncthreads();
    y[threadIdx.x] = s[0]; // !
    __syncwarp(); // the writer is in order with the readers of its own warp
    if (threadIdx.x == 63) s[0] = 2; // !
}
extern "C" __global__ void race_write_after_the_second_read(PARAMETERS)
{
    __shared__ float s[1];
    if (threadIdx.x == 0) s[0] = 1;
    __syncwarp();
    if (threadIdx.x == 0) y[0] = s[0];
    __syncwarp();
    if (threadIdx.x == 1) y[1] = s[0]; // !
    if (threadIdx.x == 0) s[0] = 2; // !
}
extern "C" __global__ void race_missing_syncwarp(PARAMETERS)
{
    __shared__ float s[32];
    s[threadIdx.x] = 0; // !
    __shfl_sync(0xffffffffu, 0, 0); // waits, but orders no accesses
    y[threadIdx.x] = s[31 - threadIdx.x]; // !
}
extern "C" __global__ void race_syncwarp_of_half_a_warp(PARAMETERS)
{
    __shared__ float s[32];
    s[threadIdx.x] = 0; // !
    __syncwarp(threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u);
    y[threadIdx.x] = s[31 - threadIdx.x]; // !
}
extern "C" __global__ void race_write_write_between_blocks(PARAMETERS)
{
    y[threadIdx.x] = blockIdx.x; // !
}
extern "C" __global__ void race_read_write_between_blocks(PARAMETERS)
{
    if (blockIdx.x == 0)
        k[threadIdx.x] = 1; // !
    else
        y[threadIdx.x] = k[threadIdx.x]; // !
}
extern "C" __global__ void race_write_after_reads_of_all_blocks(PARAMETERS)
{
    int v = k[0]; // !
    __syncthreads();
    if (threadIdx.x == 0 && blockIdx.x == 1) k[0] = v + 1; // !
}
extern "C" __global__ void race_update_without_atomic(PARAMETERS)
{
    k[0] += 1; // !
}
extern "C" __global__ void race_atomic_and_plain_read(PARAMETERS)
{
    atomicAdd(&k[0], 1); // !
    if (threadIdx.x == 0) k[1] = k[0]; // !
}
extern "C" __global__ void race_atomic_and_plain_write(PARAMETERS)
{
    if (threadIdx.x == 5)
        k[0] = 1; // !
    else
        atomicAdd(&k[0], 1); // !
}
extern "C" __global__ void race_own_atomic_hides_plain_write(PARAMETERS)
{
    if (threadIdx.x == 5) k[0] = 1; // !
    atomicAdd(&k[0], 1); // !
}

// ------------------------------------------------------------------ barriers and warp operations
extern "C" __global__ void barrier_in_a_branch(PARAMETERS)
{
    if (threadIdx.x < 40) __syncthreads(); // !
}
extern "C" __global__ void barriers_in_both_branches(PARAMETERS)
{
    if (threadIdx.x < 40)
        __syncthreads(); // !
    else
        __syncthreads(); // !
}
extern "C" __global__ void return_before_barrier(PARAMETERS)
{
    if (threadIdx.x == 63) return;
    __syncthreads(); // !
}
extern "C" __global__ void mask_without_own_lane(PARAMETERS)
{
    k[threadIdx.x] = __shfl_sync(0x0000ffffu, (int)threadIdx.x, 0); // !
}
extern "C" __global__ void shuffle_with_a_lane_missing(PARAMETERS)
{
    if (threadIdx.x != 9) k[threadIdx.x] = __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, 1); // !
    __syncthreads(); // !
}
extern "C" __global__ void different_operations(PARAMETERS)
{
    if (threadIdx.x & 1)
        k[threadIdx.x] = __any_sync(0xffffffffu, 1); // !
    else
        k[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0); // !
}
extern "C" __global__ void different_masks(PARAMETERS)
{
    __syncwarp(threadIdx.x == 0 ? 0x3u : 0xffffffffu); // !
}
extern "C" __global__ void width_of_three(PARAMETERS)
{
    k[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0, 3); // !
}
extern "C" __global__ void endless_loop(PARAMETERS)
{
    while (atomicAdd(&k[0], 0) == 0) { // ! waits for a thread that never gets its turn
    }
}
extern "C" __global__ void endless_barriers(PARAMETERS)
{
    while (n) __syncthreads(); // !
}

// ------------------------------------------------------------------ undefined arithmetic
extern "C" __global__ void signed_overflow(PARAMETERS)
{
    k[threadIdx.x] = n * (1 << 20) * 64; // !
}
extern "C" __global__ void shift_out_of_range(PARAMETERS)
{
    k[threadIdx.x] = 1 << (n / 2); // !
}
extern "C" __global__ void division_by_zero(PARAMETERS)
{
    k[threadIdx.x] = n / k[threadIdx.x]; // !
}
extern "C" __global__ void float_outside_int(PARAMETERS)
{
    k[threadIdx.x] = (int)(x[threadIdx.x] + 3e9f); // !
}
