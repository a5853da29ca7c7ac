// The patch crop: samples a map at the positions of a grid, bilinear, zeros outside, corners not
// aligned. `features` is (B, C, H, W), `grid` (B, positions, 2) x and y, -1 and 1 at the borders of
// the map, `patches` (B, C, positions). The order of the arguments is that of TensorRT's ahead-of-
// time plugins: inputs, integers, outputs.
//
// A thread keeps the weights of one position for CHANNELS channels. Blocks are (positions, channels,
// images), so neighbouring threads write neighbouring values.

#define CHANNELS 8  // as in launch.py

struct Half {
    unsigned short bits;
};

// Half precision without cuda_fp16.h, which a machine with NVRTC alone does not have.
__device__ __forceinline__ float number(float value) { return value; }

__device__ __forceinline__ float number(Half value) {
#ifdef __CUDA_ARCH__
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
    return result;
#else
    // For the CPU, where tests run it: shift into place; an exponent of all ones stays one.
    unsigned int sign = (value.bits & 0x8000u) << 16, rest = value.bits & 0x7fffu;
    float scaled = ldexpf((float)(rest & 0x3ffu) + (rest < 0x400u ? 0.0f : 1024.0f),
                          (rest < 0x400u ? 1 : (int)(rest >> 10)) - 25);
    if (rest == 0x7c00u) scaled = HUGE_VALF;
    if (rest > 0x7c00u) scaled = nanf("");
    return sign ? -scaled : scaled;
#endif
}

__device__ __forceinline__ void store(float* place, float value) { *place = value; }

__device__ __forceinline__ void store(Half* place, float value) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(place->bits) : "f"(value));
#else
    int exponent;
    float fraction = fabsf(value), unit;
    unsigned int bits = 0x7c00u;
    if (fraction < 65520.0f) {
        frexpf(fraction, &exponent);
        exponent = exponent < -13 || fraction == 0.0f ? -13 : exponent;
        unit = ldexpf(1.0f, exponent - 11);
        // Rounds to even; a carry into the exponent is the right next number.
        unsigned int steps = (unsigned int)rintf(fraction / unit);
        bits = steps + ((unsigned int)(exponent + 13) << 10);
    }
    if (value != value) bits = 0x7e00u;
    place->bits = (unsigned short)(bits | (copysignf(1.0f, value) < 0.0f ? 0x8000u : 0u));
#endif
}

// Where a grid value lies, in cells, 0 in the middle of the first; rounded as ONNX Runtime does.
// What is no number is taken for -1, as there.
__device__ __forceinline__ float cell(float value, int size) {
    float known = value == value ? value : -1.0f;
    return __fdiv_rn(__fsub_rn(__fmul_rn(__fadd_rn(known, 1.0f), (float)size), 1.0f), 2.0f);
}

struct Corner {
    int offset;
    float weight;
};

// One of the four cells around a position; no weight outside the map.
__device__ __forceinline__ Corner corner(int x, int y, float weight, int width, int height) {
    bool is_inside = x >= 0 && x < width && y >= 0 && y < height;
    Corner result = {is_inside ? y * width + x : -1, weight};
    return result;
}

template <class T>
__device__ __forceinline__ float sample(const T* map, const Corner* corners) {
    float sum = 0.0f;
    for (int i = 0; i < 4; i++)
        if (corners[i].offset >= 0) sum += corners[i].weight * number(map[corners[i].offset]);
    return sum;
}

template <class T>
__device__ __forceinline__ void patch_crop(const T* features, const float* grid, int channels,
                                           int height, int width, int positions, T* patches) {
    int position = blockIdx.x * blockDim.x + threadIdx.x;
    if (position >= positions) return;
    int first = blockIdx.y * CHANNELS, last = min(first + CHANNELS, channels);
    size_t image = blockIdx.z;
    const float* at = grid + 2 * (image * positions + position);
    float x = cell(at[0], width), y = cell(at[1], height);
    Corner corners[4] = {{-1, 0.0f}, {-1, 0.0f}, {-1, 0.0f}, {-1, 0.0f}};
    // Only here do x and y fit into integers; all the rest is outside.
    if (x > -1.0f && x < (float)width && y > -1.0f && y < (float)height) {
        int left = (int)floorf(x), top = (int)floorf(y);
        float right = x - (float)left, down = y - (float)top;
        corners[0] = corner(left, top, (1.0f - right) * (1.0f - down), width, height);
        corners[1] = corner(left + 1, top, right * (1.0f - down), width, height);
        corners[2] = corner(left, top + 1, (1.0f - right) * down, width, height);
        corners[3] = corner(left + 1, top + 1, right * down, width, height);
    }
    for (int channel = first; channel < last; channel++) {
        size_t plane = image * channels + channel;
        store(patches + plane * positions + position,
              sample(features + plane * height * width, corners));
    }
}

extern "C" __global__ void patch_crop_fp32(const float* features, const float* grid, int channels,
                                           int height, int width, int positions, float* patches) {
    patch_crop(features, grid, channels, height, width, positions, patches);
}

extern "C" __global__ void patch_crop_fp16(const Half* features, const float* grid, int channels,
                                           int height, int width, int positions, Half* patches) {
    patch_crop(features, grid, channels, height, width, positions, patches);
}
