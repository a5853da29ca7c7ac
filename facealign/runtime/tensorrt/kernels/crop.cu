// Cuts crops out of a frame, and normalises them for engines that do not do that themselves.
//
// Every sum that decides which pixel is read is written with a rounding of its own (__dmul_rn ...):
// the compiler may not fuse it, and the CPU gives the same bits.

// What `interpolation` may be.
#define BILINEAR 0          // as the formula has it, and as OpenCV 5 computes it
#define BILINEAR_OPENCV4 1  // at positions rounded to 1/32 px, as OpenCV 4 has it
#define NEAREST 2           // the pixel under the middle of the crop's own

// Positions beyond this are outside any frame, and would not fit an integer.
#define FAR 1e12

// One square: frame position = low + offset + step * crop position, per axis.
// Of BILINEAR and BILINEAR_OPENCV4 `step` is frame pixels per crop pixel; of NEAREST its inverse,
// by which the CPU's rule divides.
struct Square {
  double step;
  double offset_x, offset_y;
  double low_x, low_y;
};

// A pixel of the frame, and how far behind it the position lies, in 1/32 px or as it is.
struct Place {
  long long first;
  float behind;
  int behind_32nds;
};

static __device__ double clamped(double position) {
  return position < -FAR ? -FAR : position > FAR ? FAR : position;
}

static __device__ Place exact_place(double step, double offset, double low, int index) {
  double position = clamped(__dadd_rn(__dmul_rn(step, (double)index), offset));
  double first = floor(position);
  Place place;
  place.first = (long long)first + (long long)low;
  place.behind = (float)(position - first);
  place.behind_32nds = 0;
  return place;
}

// Source: OpenCV 4.9 imgwarp.cpp: 10 bits of fraction, then 5. Along x it rounds both parts of the
// sum; along y the sum.
static __device__ Place opencv4_place(double step, double offset, double low, int index, bool is_x) {
  double product = __dmul_rn(step, (double)index);
  double scaled = is_x ? rint(__dmul_rn(product, 1024.0)) + rint(__dmul_rn(offset, 1024.0))
                       : rint(__dmul_rn(__dadd_rn(product, offset), 1024.0));
  long long fine = ((long long)clamped(scaled) + 16) >> 5;
  Place place;
  place.first = (fine >> 5) + (long long)low;
  place.behind_32nds = (int)(fine & 31);
  place.behind = 0.0f;
  return place;
}

static __device__ long long nearest_pixel(double step, double offset, int size_px, int index) {
  double from_middle = __dsub_rn(__dadd_rn((double)index, 0.5), __ddiv_rn((double)size_px, 2.0));
  return (long long)floor(clamped(__dadd_rn(__ddiv_rn(from_middle, step), offset)));
}

// A frame of `height` rows, `pitch` bytes apart, of 3 bytes per pixel; `border` around it.
struct Frame {
  const unsigned char* data;
  int height, width, pitch, border;
};

static __device__ int grey(const Frame& frame, long long row, long long column, int channel) {
  if (row < 0 || row >= frame.height || column < 0 || column >= frame.width) return frame.border;
  return frame.data[row * frame.pitch + column * 3 + channel];
}

static __device__ unsigned char blended(const Frame& frame, Place row, Place column, int channel) {
  float top_left = (float)grey(frame, row.first, column.first, channel);
  float top_right = (float)grey(frame, row.first, column.first + 1, channel);
  float low_left = (float)grey(frame, row.first + 1, column.first, channel);
  float low_right = (float)grey(frame, row.first + 1, column.first + 1, channel);
  float top = top_left + (top_right - top_left) * column.behind;
  float low = low_left + (low_right - low_left) * column.behind;
  return (unsigned char)__float2int_rn(top + (low - top) * row.behind);
}

static __device__ unsigned char blended_32nds(const Frame& frame, Place row, Place column, int channel) {
  int x = column.behind_32nds, y = row.behind_32nds;
  int top = grey(frame, row.first, column.first, channel) * (32 - x) +
            grey(frame, row.first, column.first + 1, channel) * x;
  int low = grey(frame, row.first + 1, column.first, channel) * (32 - x) +
            grey(frame, row.first + 1, column.first + 1, channel) * x;
  return (unsigned char)((top * (32 - y) + low * y + 512) >> 10);
}

// Fills `crops`, (F, size_px, size_px, 3) bytes, one thread per pixel; blockIdx.z is the face.
extern "C" __global__ void crop_squares(const unsigned char* frame_data, int height, int width,
                                        int pitch, const Square* squares, unsigned char* crops,
                                        int size_px, int interpolation, int border) {
  int column = blockIdx.x * blockDim.x + threadIdx.x;
  int row = blockIdx.y * blockDim.y + threadIdx.y;
  if (column >= size_px || row >= size_px) return;
  Square square = squares[blockIdx.z];
  Frame frame = {frame_data, height, width, pitch, border};
  long long pixel = ((long long)blockIdx.z * size_px + row) * size_px + column;
  unsigned char* target = crops + pixel * 3;
  if (interpolation == NEAREST) {
    long long x = nearest_pixel(square.step, square.offset_x, size_px, column);
    long long y = nearest_pixel(square.step, square.offset_y, size_px, row);
    for (int channel = 0; channel < 3; channel++)
      target[channel] = (unsigned char)grey(frame, y, x, channel);
  } else if (interpolation == BILINEAR_OPENCV4) {
    Place x = opencv4_place(square.step, square.offset_x, square.low_x, column, true);
    Place y = opencv4_place(square.step, square.offset_y, square.low_y, row, false);
    for (int channel = 0; channel < 3; channel++)
      target[channel] = blended_32nds(frame, y, x, channel);
  } else {
    Place x = exact_place(square.step, square.offset_x, square.low_x, column);
    Place y = exact_place(square.step, square.offset_y, square.low_y, row);
    for (int channel = 0; channel < 3; channel++)
      target[channel] = blended(frame, y, x, channel);
  }
}

// Fills `planes`, (F, 3, size_px, size_px) float32: (grey - mean) * scale per channel of the output,
// which are those of the crops, or in reverse order. One thread per pixel; blockIdx.z is the face.
extern "C" __global__ void normalise_crops(const unsigned char* crops, float* planes, int size_px,
                                           int reverse, float mean_0, float mean_1, float mean_2,
                                           float scale_0, float scale_1, float scale_2) {
  int column = blockIdx.x * blockDim.x + threadIdx.x;
  int row = blockIdx.y * blockDim.y + threadIdx.y;
  if (column >= size_px || row >= size_px) return;
  long long area = (long long)size_px * size_px;
  long long pixel = (long long)row * size_px + column;
  const unsigned char* source = crops + (blockIdx.z * area + pixel) * 3;
  float* target = planes + blockIdx.z * area * 3 + pixel;
  target[0] = __fmul_rn(__fsub_rn((float)source[reverse ? 2 : 0], mean_0), scale_0);
  target[area] = __fmul_rn(__fsub_rn((float)source[1], mean_1), scale_1);
  target[2 * area] = __fmul_rn(__fsub_rn((float)source[reverse ? 0 : 2], mean_2), scale_2);
}
