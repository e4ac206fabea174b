// Exercise 8: the score of one class, as a CUDA kernel.             Check it: python -m exercises kernel
//
// NumPy    y = x @ w + bias        x (P, C): P pixels of C channels; w (C,); y (P,)
// Launch   block 128 threads, that is 4 warps of 32; grid ceil(P / 4)
//
// It is a 1x1 convolution with one output channel. How:
//
// 1. A warp takes one pixel: pixel p is that of warp threadIdx.x / 32 in block blockIdx.x. Its number may be beyond 2^31
//    divided by C, so p is a long long.
// 2. The last block may reach beyond P.
// 3. The lanes of the warp (threadIdx.x % 32) take the channels in turn: lane 0 takes 0, 32, 64, ... Neighbouring lanes
//    then read neighbouring numbers. Each lane has a sum of its own, in a register.
// 4. The 32 sums are added up: __shfl_down_sync(0xffffffff, sum, step) reads the sum of the lane `step` higher. With
//    steps of 16, 8, 4, 2, 1 lane 0 has the sum of all.
// 5. Lane 0 adds the bias and writes y[p].
//
// No GPU is needed: it runs in the emulator of tests/cuda, which needs g++. kernels/README.md tells how to read a kernel.

extern "C" __global__ void score(const float* x, const float* w, float bias, float* y, long long P, int C)
{
}
