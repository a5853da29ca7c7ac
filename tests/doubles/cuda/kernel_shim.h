// What a kernel's source needs to be compiled for the CPU: threads become loops.
//
// For kernels without shared memory, barriers and warp functions only: those do not compile here.
#pragma once
#define __CUDACC_DOUBLE__ 1

#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

struct uint3 { unsigned x, y, z; };
using dim3 = uint3;

static thread_local uint3 blockIdx, threadIdx;
static thread_local dim3 blockDim, gridDim;

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __constant__ const

template <class T> static inline T __ldg(const T* pointer) { return *pointer; }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return std::fmaf(a, b, c); }
static inline int __double2int_rn(double a) { return static_cast<int>(std::nearbyint(a)); }
static inline int __float2int_rn(float a) { return static_cast<int>(std::nearbyintf(a)); }
template <class T> static inline T min(T a, T b) { return b < a ? b : a; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }

namespace cuda_double {

template <class... A>
int describe(void (*)(A...), size_t* sizes, size_t* alignments, int) {
  size_t all_sizes[] = {sizeof(A)..., 0}, all_alignments[] = {alignof(A)..., 0};
  std::memcpy(sizes, all_sizes, sizeof all_sizes);
  std::memcpy(alignments, all_alignments, sizeof all_alignments);
  return sizeof...(A);
}

template <class... A, size_t... I>
void call(void (*kernel)(A...), void** parameters, std::index_sequence<I...>) {
  kernel(*static_cast<std::remove_const_t<A>*>(parameters[I])...);
}

template <class... A>
void run(void (*kernel)(A...), const unsigned* grid, const unsigned* block, void** parameters) {
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {block[0], block[1], block[2]};
  for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
      for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
        for (threadIdx.z = 0; threadIdx.z < blockDim.z; threadIdx.z++)
          for (threadIdx.y = 0; threadIdx.y < blockDim.y; threadIdx.y++)
            for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++)
              call(kernel, parameters, std::index_sequence_for<A...>());
}

}  // namespace cuda_double

#define DOUBLE_KERNEL(name)                                                                      \
  extern "C" int double_parameters_##name(size_t* sizes, size_t* alignments, int most) {         \
    return cuda_double::describe(name, sizes, alignments, most);                                 \
  }                                                                                              \
  extern "C" void double_run_##name(const unsigned* grid, const unsigned* block, void** values) { \
    cuda_double::run(name, grid, block, values);                                                 \
  }
