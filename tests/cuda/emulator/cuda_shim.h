// CUDA C++ for g++: keywords, built-in variables and functions. Force-included before a kernel file.
//
// The kernel file is compiled with -fsanitize=thread, so that the compiler calls __tsan_read4(address) and the like
// before each access to memory; checks.cpp defines these. Only what the kernels here may use is declared. What is left
// out on purpose does not compile: float atomics (their sum depends on the order), __threadfence (blocks do not talk).
#pragma once
#include <math.h> // the C++ library's: exp, log, fmax, isnan ... for float and double, in the global namespace
#include <stdio.h> // printf, which kernels have
#include <stdlib.h>
#include <string.h>

#include <type_traits>
#include <utility>

#include "interface.h"

#undef INFINITY // NVRTC has neither
#undef NAN

// ------------------------------------------------------------------ keywords

#define __global__
#define __device__
#define __host__
#define __constant__ static
// A thread_local variable in a function is static, and `extern thread_local T x[]` is legal: the two forms that
// __shared__ takes. All of them lie in one block of memory, the library's thread-local storage, that the runtime finds
// and checks.
#define __shared__ thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...) // emulator.py copies the bound into EMU_KERNEL

// ------------------------------------------------------------------ built-in variables

#define threadIdx (emu::thread_index())
#define blockIdx (emu::block_index())
#define blockDim (emu::block_size())
#define gridDim (emu::grid_size())
static const int warpSize = 32;

// ------------------------------------------------------------------ barriers and warp operations
// `line` is filled in where a function is called, for messages.

inline void __syncthreads(int line = __builtin_LINE()) { emu::block_barrier(line); }

inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
    emu::warp_operation(emu::WarpOp::SYNC, mask, 0, 0, 0, 32, line);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return (unsigned)emu::warp_operation(emu::WarpOp::BALLOT, mask, predicate != 0, 0, 0, 32, line);
}
inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return __ballot_sync(mask, predicate, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return __ballot_sync(mask, !predicate, line) == 0;
}

namespace emu {
template <class T> T shuffle(WarpOp op, unsigned mask, T value, unsigned operand, int width, int line) {
    static_assert(std::is_arithmetic<T>::value && sizeof(T) >= 4, "CUDA shuffles values of 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = warp_operation(op, mask, bits, sizeof value, operand, width, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}
} // namespace emu

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, int line = __builtin_LINE()) {
    return emu::shuffle(emu::WarpOp::SHUFFLE, mask, value, (unsigned)lane, width, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, int line = __builtin_LINE()) {
    return emu::shuffle(emu::WarpOp::SHUFFLE_UP, mask, value, delta, width, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, int line = __builtin_LINE()) {
    return emu::shuffle(emu::WarpOp::SHUFFLE_DOWN, mask, value, delta, width, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, int line = __builtin_LINE()) {
    return emu::shuffle(emu::WarpOp::SHUFFLE_XOR, mask, value, (unsigned)lanes, width, line);
}

// ------------------------------------------------------------------ atomics
// One thread runs at a time and is never interrupted here, so plain code is atomic. It is not instrumented as such: the
// runtime is told of one atomic access instead. Signed sums wrap around as on the device.

#define EMU_ATOMIC(NAME, T, RESULT)                                                                                    \
    __attribute__((no_sanitize("thread", "undefined"))) inline T NAME(T* address, T value,                             \
                                                                      int line = __builtin_LINE()) {                   \
        emu::atomic_access(address, sizeof(T), line);                                                                  \
        T old = *address;                                                                                              \
        *address = (RESULT);                                                                                           \
        return old;                                                                                                    \
    }
#define EMU_ATOMICS(T, UNSIGNED_T)                                                                                     \
    EMU_ATOMIC(atomicAdd, T, (T)((UNSIGNED_T)old + (UNSIGNED_T)value))                                                 \
    EMU_ATOMIC(atomicExch, T, value)                                                                                   \
    EMU_ATOMIC(atomicMin, T, value < old ? value : old)                                                                \
    EMU_ATOMIC(atomicMax, T, value > old ? value : old)                                                                \
    EMU_ATOMIC(atomicAnd, T, old & value)                                                                              \
    EMU_ATOMIC(atomicOr, T, old | value)                                                                               \
    EMU_ATOMIC(atomicXor, T, old ^ value)                                                                              \
    __attribute__((no_sanitize("thread"))) inline T atomicCAS(T* address, T compare, T value,                          \
                                                              int line = __builtin_LINE()) {                           \
        emu::atomic_access(address, sizeof(T), line);                                                                  \
        T old = *address;                                                                                              \
        if (old == compare) *address = value;                                                                          \
        return old;                                                                                                    \
    }
EMU_ATOMICS(int, unsigned)
EMU_ATOMICS(unsigned, unsigned)
EMU_ATOMICS(unsigned long long, unsigned long long)
EMU_ATOMIC(atomicSub, int, (int)((unsigned)old - (unsigned)value))
EMU_ATOMIC(atomicSub, unsigned, old - value)

// ------------------------------------------------------------------ small functions

namespace emu {
template <class To, class From> To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From), "same size");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
} // namespace emu
inline float __int_as_float(int bits) { return emu::bits_as<float>(bits); }
inline int __float_as_int(float value) { return emu::bits_as<int>(value); }
inline double __longlong_as_double(long long bits) { return emu::bits_as<double>(bits); }
inline long long __double_as_longlong(double value) { return emu::bits_as<long long>(value); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz((unsigned)bits) : 32; }
#define __ldg(address) (*(address))

// min and max have the overloads of CUDA's headers, mixed signs included; those of floats are fmin and fmax, which
// prefer a number to NaN.
#define EMU_MIN_MAX(R, A, B)                                                                                           \
    inline R min(A a, B b) { return (R)b < (R)a ? (R)b : (R)a; }                                                       \
    inline R max(A a, B b) { return (R)a < (R)b ? (R)b : (R)a; }
EMU_MIN_MAX(int, int, int)
EMU_MIN_MAX(unsigned, unsigned, unsigned)
EMU_MIN_MAX(unsigned, int, unsigned)
EMU_MIN_MAX(unsigned, unsigned, int)
EMU_MIN_MAX(long, long, long)
EMU_MIN_MAX(unsigned long, unsigned long, unsigned long)
EMU_MIN_MAX(long long, long long, long long)
EMU_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

// ------------------------------------------------------------------ the table of kernels
// The compiler deduces the parameters' types; a type that is not in the list is an error there.

namespace emu {
template <class T> struct TypeName;
#define EMU_TYPE(T)                                                                                                    \
    template <> struct TypeName<T> { static constexpr const char* value = #T; };                                       \
    template <> struct TypeName<T*> { static constexpr const char* value = #T "*"; };                                  \
    template <> struct TypeName<const T*> { static constexpr const char* value = "const " #T "*"; };
EMU_TYPE(float)
EMU_TYPE(double)
EMU_TYPE(int)
EMU_TYPE(unsigned int)
EMU_TYPE(long long)
EMU_TYPE(unsigned long long)
EMU_TYPE(unsigned char)

template <auto FUNCTION, class TYPE> struct Caller;
template <auto FUNCTION, class... TYPES> struct Caller<FUNCTION, void (*)(TYPES...)> {
    static constexpr unsigned n_parameters = sizeof...(TYPES);
    static constexpr const char* types[] = {TypeName<TYPES>::value..., nullptr};

    template <size_t... I>
    __attribute__((no_sanitize("thread"))) static void unpack(const Argument* arguments, std::index_sequence<I...>) {
        FUNCTION(*reinterpret_cast<const TYPES*>(&arguments[I].value)...);
    }
    __attribute__((no_sanitize("thread"))) static void call(const Argument* arguments) {
        unpack(arguments, std::index_sequence_for<TYPES...>{});
    }
};

// The first argument of __launch_bounds__(threads, blocks), 1024 where there is none.
constexpr unsigned first_bound(unsigned threads = 1024, unsigned = 1) { return threads; }
} // namespace emu

#define EMU_KERNEL(NAME, ...)                                                                                          \
    {#NAME, emu::first_bound(__VA_ARGS__), emu::Caller<&NAME, decltype(&NAME)>::n_parameters,                          \
     emu::Caller<&NAME, decltype(&NAME)>::types, emu::Caller<&NAME, decltype(&NAME)>::call}

// All `extern __shared__` arrays of a file are one array, whatever their names and types, as in CUDA.
#define EMU_DYNAMIC_SHARED(NAME)                                                                                       \
    __asm__(".globl " #NAME "\n.type " #NAME ", @tls_object\n.set " #NAME ", emu_dynamic_shared");

#define EMU_MODULE(FILE, ...)                                                                                          \
    extern "C" alignas(128) thread_local char emu_dynamic_shared[emu::SHARED_LIMIT] = {};                              \
    static char* emu_find_dynamic_shared() { return emu_dynamic_shared; }                                              \
    static const emu::Kernel emu_kernels[] = {__VA_ARGS__};                                                            \
    extern "C" EMU_EXPORT emu::Module emu_module = {FILE, sizeof emu_kernels / sizeof *emu_kernels, emu_kernels,       \
                                                    emu_find_dynamic_shared, nullptr, nullptr, 0, 0};

// The C library is not instrumented: what these do no check would see. Not to be used from here on.
#pragma GCC poison memcpy memmove memset malloc calloc realloc free abort exit
