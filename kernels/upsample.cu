// Bilinear upsampling along one axis, and its gradient. Two launches, one an axis, make the whole.
//
// NumPy    y = A @ x,  dx = A.T @ dy      A ((size + 1) stride, size), column i: k from row i stride on,
//                                         k[t] = 1 - |t - (stride - 1/2)| / stride,  t = 0 .. 2 stride - 1
// Threads  a row of threads (one threadIdx.y) makes one (o, j) of the result, threadIdx.x runs along what is contiguous
// Launch   block (bx, by), grid ceil(outer length / by), length that of the result's axis; any bx
// Traffic  forward reads at most 2, backward 2 stride numbers an element of the result; both write 1
//
// compiled with -DREAL=float and with -DREAL=double
typedef REAL real;

__device__ __forceinline__ real weight(int t, int stride)
{
    real distance = t - (stride - (real)0.5);
    return 1 - (distance < 0 ? -distance : distance) / stride;
}

// x (outer, size, inner) -> y (outer, (size + 1) stride, inner): row j lies between rows j / stride - 1 and j / stride of x
extern "C" __global__ void upsample_forward(const real* __restrict__ x, real* __restrict__ y, long long outer, int size,
                                            int inner, int stride)
{
    int length = (size + 1) * stride;
    long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y; // of y: o length + j
    if (row >= outer * length) return;

    int j = (int)(row % length);
    int i = j / stride, t = j % stride;
    const real* here = x + (row / length * size + i) * inner; // row i of x, above which lies row i - 1
    for (int e = threadIdx.x; e < inner; e += blockDim.x) {
        real sum = 0;
        if (i > 0) sum += weight(t + stride, stride) * here[e - inner];
        if (i < size) sum += weight(t, stride) * here[e];
        y[row * inner + e] = sum;
    }
}

// dy (outer, (size + 1) stride, inner) -> dx (outer, size, inner): row i was spread over rows i stride .. (i + 2) stride - 1
extern "C" __global__ void upsample_backward(const real* __restrict__ dy, real* __restrict__ dx, long long outer,
                                             int size, int inner, int stride)
{
    long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y; // of dx: o size + i
    if (row >= outer * size) return;

    int length = (size + 1) * stride;
    const real* first = dy + (row / size * length + row % size * stride) * inner;
    for (int e = threadIdx.x; e < inner; e += blockDim.x) {
        real sum = 0;
        for (int t = 0; t < 2 * stride; t++) sum += weight(t, stride) * first[(long long)t * inner + e];
        dx[row * inner + e] = sum;
    }
}
