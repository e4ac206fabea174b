// Max pooling and its gradient. A window's winner is kept as its tap, ky KW + kx; of equal ones the first; NaN wins.
//
// NumPy    windows = padded[n, oy sy :, ox sx :][:KH, :KW].reshape(KH KW, C)         padded with -inf
//          winner, y = windows.argmax(axis=0), windows.max(axis=0)
//          dwindows[winner, c] += dy[n, oy, ox, c]
// Threads  forward: a row of threads (one threadIdx.y) makes one pixel of y; backward: one pixel of dx. Channels along
//          threadIdx.x. The gradient is gathered from the windows that hold a pixel: no atomics
// Launch   block (bx, by), grid ceil(pixels / by); any bx
// Traffic  forward reads KH KW numbers an element of y and writes 1, with 1 byte of winner;
//          backward reads at most KH KW / (sy sx) winners an element of dx, 1 number where it won, and writes 1
//
// compiled with -DREAL=float and with -DREAL=double
typedef REAL real;

// x (N,H,W,C), y and winner (N,OH,OW,C), pixels = N OH OW. Every window meets the picture, and has at most 256 taps.
extern "C" __global__ void max_pool_forward(const real* __restrict__ x, real* __restrict__ y,
                                            unsigned char* __restrict__ winner, long long pixels, int H, int W, int C,
                                            int OH, int OW, int KH, int KW, int sy, int sx, int py, int px)
{
    long long p = (long long)blockIdx.x * blockDim.y + threadIdx.y; // the pixel of y
    if (p >= pixels) return;

    int left = (int)(p % OW) * sx - px; // the window's corner; may lie outside the picture
    int top = (int)(p / OW % OH) * sy - py;
    long long n = p / OW / OH;
    int ky0 = max(0, -top), ky1 = min(KH, H - top); // the taps inside the picture
    int kx0 = max(0, -left), kx1 = min(KW, W - left);

    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        int won = -1; // none yet
        real best = 0;
        for (int ky = ky0; ky < ky1; ky++)
            for (int kx = kx0; kx < kx1; kx++) {
                real v = x[((n * H + top + ky) * W + left + kx) * C + c];
                if (won < 0 || (best == best && !(v <= best))) { // the first, larger, or the first NaN
                    best = v;
                    won = ky * KW + kx;
                }
            }
        y[p * C + c] = best;
        winner[p * C + c] = (unsigned char)won;
    }
}

// dy and winner (N,OH,OW,C), dx (N,H,W,C), pixels = N H W
extern "C" __global__ void max_pool_backward(const real* __restrict__ dy, const unsigned char* __restrict__ winner,
                                             real* __restrict__ dx, long long pixels, int H, int W, int C, int OH,
                                             int OW, int KH, int KW, int sy, int sx, int py, int px)
{
    long long p = (long long)blockIdx.x * blockDim.y + threadIdx.y; // the pixel of dx
    if (p >= pixels) return;

    int ix = (int)(p % W) + px; // in the padded picture
    int iy = (int)(p / W % H) + py;
    long long n = p / W / H;
    int oy0 = iy < KH ? 0 : (iy - KH) / sy + 1, oy1 = min(OH - 1, iy / sy); // the windows that hold it
    int ox0 = ix < KW ? 0 : (ix - KW) / sx + 1, ox1 = min(OW - 1, ix / sx);

    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        real sum = 0;
        for (int oy = oy0; oy <= oy1; oy++)
            for (int ox = ox0; ox <= ox1; ox++) {
                long long o = ((n * OH + oy) * OW + ox) * C + c;
                if (winner[o] == (iy - oy * sy) * KW + ix - ox * sx) sum += dy[o];
            }
        dx[p * C + c] = sum;
    }
}
