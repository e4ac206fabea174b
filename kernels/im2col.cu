// The patches of x that output pixels see, gathered into the rows of a matrix: a convolution is then a matrix product.
//
// NumPy    cols[p] = padded[n, oy sy + ky0 :, ox sx :][:KH, :KW].ravel()   p the pixel (n, oy, ox), padded: zeros around x
// Threads  a row of threads (one threadIdx.y) makes one row of cols, kernel row by kernel row: KW C numbers that lie side by
//          side in x as in cols, so neighbouring threads read and write neighbouring numbers
// Launch   block (bx, by), grid ceil(pixels / by); any bx
// Traffic  reads 1, writes 1 number an element of cols
//
// compiled with -DREAL=float and with -DREAL=double
typedef REAL real;

struct alignas(4 * sizeof(real)) quad { real v[4]; }; // four neighbouring channels: one wide load

// T is real, or quad where C is a multiple of four: then C counts quads
template <typename T>
__device__ void gather(const T* __restrict__ x, T* __restrict__ cols, long long first, long long pixels, int H, int W,
                       int C, int OH, int OW, int KH, int KW, int sy, int sx, int py, int px, int ky0)
{
    long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y; // of cols
    if (row >= pixels) return;

    long long p = first + row; // the output pixel, counted through all pictures
    int left = (int)(p % OW) * sx - px; // its patch's corner; may lie outside the picture
    int top = (int)(p / OW % OH) * sy - py + ky0;
    long long n = p / OW / OH;

    int width = KW * C; // numbers in a row of the patch, of which inside .. outside - 1 lie in the picture
    int inside = max(0, -left) * C, outside = min(KW, W - left) * C;
    for (int ky = 0; ky < KH; ky++) {
        int iy = top + ky;
        bool in_picture = iy >= 0 && iy < H;
        long long from = ((n * H + iy) * W + left) * C, to = (row * KH + ky) * width;
        for (int e = threadIdx.x; e < width; e += blockDim.x)
            cols[to + e] = in_picture && e >= inside && e < outside ? x[from + e] : T(); // T(): zero
    }
}

// x (N,H,W,C), cols (pixels, KH KW C): the patches of output pixels first .. first + pixels - 1. OH, OW: size of the whole
// output; stride (sy, sx), padding (py, px). ky0 moves all patches down: with KH = 1 it picks one row of a larger kernel.
extern "C" __global__ void im2col(const real* __restrict__ x, real* __restrict__ cols, long long first,
                                  long long pixels, int H, int W, int C, int OH, int OW, int KH, int KW, int sy, int sx,
                                  int py, int px, int ky0)
{
    bool aligned = ((unsigned long long)x | (unsigned long long)cols) % sizeof(quad) == 0;
    if (C % 4 == 0 && aligned)
        gather((const quad*)x, (quad*)cols, first, pixels, H, W, C / 4, OH, OW, KH, KW, sy, sx, py, px, ky0);
    else
        gather(x, cols, first, pixels, H, W, C, OH, OW, KH, KW, sy, sx, py, px, ky0);
}
