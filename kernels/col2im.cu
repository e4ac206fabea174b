// The adjoint of im2col: each number of dx is the sum of those elements of dcols that im2col copied it to.
//
// NumPy    dpadded[n, oy sy : oy sy + KH, ox sx : ox sx + KW] += dcols[n, oy, ox]        for every oy, ox; dx is the inside
// Threads  a row of threads (one threadIdx.y) makes one pixel of dx, channels along threadIdx.x. It gathers, tap by tap,
//          so no two threads add to the same number: no atomics, and one fixed order
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

    for (int c = threadIdx.x; c < C; c += blockDim.x) {
        real sum = 0;
        for (int ky = 0; ky < KH; ky++) {
            int oy = (iy - ky) / sy - ofirst;
            if (iy < ky || (iy - ky) % sy != 0 || oy < 0 || oy >= orows) continue;
            for (int kx = 0; kx < KW; kx++) {
                int ox = (ix - kx) / sx;
                if (ix < kx || (ix - kx) % sx != 0 || ox >= OW) continue;
                sum += dcols[((((n * orows + oy) * OW + ox) * KH + ky) * KW + kx) * C + c];
            }
        }
        dx[p * C + c] = sum;
    }
}
