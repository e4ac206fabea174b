// The adjoint of im2col: each number of dx is the sum of those elements of dcols that im2col copied it to.
//
// NumPy    dpadded[n, oy sy : oy sy + KH, ox sx : ox sx + KW] += dcols[n, oy, ox]      for every oy, ox; dx is the inside
// Threads  a row of threads (one threadIdx.y) makes one pixel of dx, channels along threadIdx.x. It gathers from the
//          patches that hold the pixel, so no two threads add to the same number: no atomics, and one fixed order
// Launch   block (bx, by), grid ceil(pixels / by); any bx
// Traffic  reads at most KH KW / (sy sx), writes 1 number an element of dx
//
// compiled with -DREAL=float and with -DREAL=double
typedef REAL real;

// dx (pictures, rows, W, C): rows first .. first + rows - 1 of each picture, pixels = pictures rows W.
// dcols (pictures, orows, OW, KH, KW, C): the rows ofirst .. ofirst + orows - 1 of the output's gradient that reach them.
extern "C" __global__ void col2im(const real* __restrict__ dcols, real* __restrict__ dx, long long pixels, int rows,
                                  int first, int W, int C, int orows, int ofirst, int OW, int KH, int KW, int sy,
                                  int sx, int py, int px)
{
    long long p = (long long)blockIdx.x * blockDim.y + threadIdx.y; // the pixel of dx
    if (p >= pixels) return;

    int ix = (int)(p % W) + px; // in the padded picture
    int iy = (int)(p / W % rows) + first + py;
    long long n = p / W / rows;
    int oy0 = iy < KH ? 0 : (iy - KH) / sy + 1, oy1 = iy / sy; // the patches that hold it
    int ox0 = ix < KW ? 0 : (ix - KW) / sx + 1, ox1 = min(OW - 1, ix / sx);
    oy0 = max(oy0, ofirst);
    oy1 = min(oy1, ofirst + orows - 1);

    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        real sum = 0;
        for (int oy = oy0; oy <= oy1; oy++)
            for (int ox = ox0; ox <= ox1; ox++) {
                int ky = iy - oy * sy, kx = ix - ox * sx;
                sum += dcols[((((n * orows + oy - ofirst) * OW + ox) * KH + ky) * KW + kx) * C + c];
            }
        dx[p * C + c] = sum;
    }
}
