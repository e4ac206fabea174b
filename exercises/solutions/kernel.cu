// The score of one class, as a CUDA kernel: a warp takes a pixel, its lanes the channels in turn.
//
// NumPy    y = x @ w + bias        x (P, C): P pixels of C channels; w (C,); y (P,)
// Launch   block 128 threads, that is 4 warps of 32; grid ceil(P / 4)
// Traffic  reads 2 numbers an element of x (w from the cache), writes 1 a pixel

extern "C" __global__ void score(const float* x, const float* w, float bias, float* y, long long P, int C)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    long long p = (long long)blockIdx.x * warps + warp;
    if (p >= P) return; // the whole warp

    float sum = 0;
    for (int c = lane; c < C; c += 32) sum += x[p * C + c] * w[c];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffffu, sum, step);
    if (lane == 0) y[p] = sum + bias;
}
