// One step of stochastic gradient descent with momentum and weight decay, in place.
//
// NumPy    v = momentum * v + dw + weight_decay * w;  w -= lr * v
// Threads  four neighbouring numbers a thread, in wide loads where memory is aligned
// Launch   block bx, grid ceil(n / (4 bx))
// Traffic  reads 3, writes 2 numbers an element: the least possible
//
// compiled with -DREAL=float and with -DREAL=double
typedef REAL real;

struct alignas(4 * sizeof(real)) quad { real v[4]; };

__device__ __forceinline__ void update(real& w, real dw, real& v, real lr, real momentum, real weight_decay)
{
    v = momentum * v + dw;
    if (weight_decay != 0) v += weight_decay * w;
    w -= lr * v;
}

// w, dw, v (n,)
extern "C" __global__ void sgd_update(real* __restrict__ w, const real* __restrict__ dw, real* __restrict__ v,
                                      long long n, real lr, real momentum, real weight_decay)
{
    long long i = 4 * ((long long)blockIdx.x * blockDim.x + threadIdx.x);
    bool aligned = ((unsigned long long)w | (unsigned long long)dw | (unsigned long long)v) % sizeof(quad) == 0;
    if (aligned && i + 4 <= n) {
        quad qw = *(quad*)(w + i), qv = *(quad*)(v + i), qd = *(const quad*)(dw + i);
        for (int k = 0; k < 4; k++) update(qw.v[k], qd.v[k], qv.v[k], lr, momentum, weight_decay);
        *(quad*)(w + i) = qw;
        *(quad*)(v + i) = qv;
    } else {
        for (long long k = i; k < i + 4 && k < n; k++) update(w[k], dw[k], v[k], lr, momentum, weight_decay);
    }
}
