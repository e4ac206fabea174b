// Bias and ReLU, in place on what a product left; ReLU alone; and ReLU's gradient.
//
// NumPy    y += b;  y = np.maximum(y, 0)              dy = np.where(y > 0, dy, 0)
// Threads  bias_relu: a row of threads (one threadIdx.y) takes one pixel, channels along threadIdx.x;
//          the others: four neighbouring numbers a thread, in one wide load where memory is aligned
// Launch   bias_relu: block (bx, by), grid ceil(pixels / by); the others: block bx, grid ceil(n / (4 bx))
// Traffic  relu_forward reads 1 number an element, bias_relu 2 (b from the cache), relu_backward 2; each writes 1
//
// compiled with -DREAL=float and with -DREAL=double
typedef REAL real;

struct alignas(4 * sizeof(real)) quad { real v[4]; };

__device__ __forceinline__ real positive(real v) { return v < 0 ? (real)0 : v; } // NaN stays NaN

// y (pixels, C) in place, b (C,); relu: 0 or 1
extern "C" __global__ void bias_relu(real* __restrict__ y, const real* __restrict__ b, long long pixels, int C, int relu)
{
    long long p = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (p >= pixels) return;
    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        real v = y[p * C + c] + b[c];
        y[p * C + c] = relu ? positive(v) : v;
    }
}

// x, y (n,)
extern "C" __global__ void relu_forward(const real* __restrict__ x, real* __restrict__ y, long long n)
{
    long long i = 4 * ((long long)blockIdx.x * blockDim.x + threadIdx.x);
    bool aligned = ((unsigned long long)x | (unsigned long long)y) % sizeof(quad) == 0;
    if (aligned && i + 4 <= n) {
        quad q = *(const quad*)(x + i);
        for (int k = 0; k < 4; k++) q.v[k] = positive(q.v[k]);
        *(quad*)(y + i) = q;
    } else {
        for (long long k = i; k < i + 4 && k < n; k++) y[k] = positive(x[k]);
    }
}

// dy (n,) in place, y (n,) what relu_forward gave
extern "C" __global__ void relu_backward(real* __restrict__ dy, const real* __restrict__ y, long long n)
{
    long long i = 4 * ((long long)blockIdx.x * blockDim.x + threadIdx.x);
    bool aligned = ((unsigned long long)dy | (unsigned long long)y) % sizeof(quad) == 0;
    if (aligned && i + 4 <= n) {
        quad d = *(const quad*)(dy + i), q = *(const quad*)(y + i);
        for (int k = 0; k < 4; k++) d.v[k] = q.v[k] > 0 ? d.v[k] : 0;
        *(quad*)(dy + i) = d;
    } else {
        for (long long k = i; k < i + 4 && k < n; k++) dy[k] = y[k] > 0 ? dy[k] : 0;
    }
}
