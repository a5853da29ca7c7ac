// The crop rule of a bundle or a plan: box -> square -> crop, and landmarks back to the frame.
// docs/embedding.md has the formulas. Agrees with facealign.geometry to one grey level.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace facealign {

struct Image {  // BGR, row after row
    int width = 0;
    int height = 0;
    std::vector<std::uint8_t> pixels;

    std::uint8_t at(long x, long y, int channel, std::uint8_t border) const {
        if (x < 0 || y < 0 || x >= width || y >= height) return border;
        return pixels[(static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x)) * 3 + channel];
    }
};

struct CropRule {
    int size_px = 0;
    double side_factor = 0;       // of `from_box`
    bool is_integer_centre = false;
    bool is_nearest = false;
    std::uint8_t border_value = 0;
};

struct Square {
    double centre_x = 0;
    double centre_y = 0;
    double side = 0;
};

// A box is x0, y0, x1, y1 in frame pixels.
inline Square square_from_box(std::vector<double> box, const CropRule& rule) {
    if (rule.is_integer_centre) {
        for (double& corner : box) corner = std::trunc(corner + 0.5);
    }
    const double width = box[2] - box[0], height = box[3] - box[1];
    Square square{box[0] + width / 2, box[1] + height / 2, rule.side_factor * std::max(width, height)};
    if (rule.is_integer_centre) {
        square.centre_x = box[0] + std::floor((width + 1) / 2);
        square.centre_y = box[1] + std::floor((height + 1) / 2);
    }
    // Written so that NaN fails too.
    if (!(square.side > 0 && square.side < 1e6 && std::fabs(square.centre_x) < 1e6 &&
          std::fabs(square.centre_y) < 1e6)) {
        throw std::runtime_error("the box has no area, or is far outside; pass X,Y,W,H in pixels");
    }
    return square;
}

inline std::uint8_t bilinear(const Image& frame, double x, double y, int channel, std::uint8_t border) {
    const double left = std::floor(x), top = std::floor(y);
    const long column = static_cast<long>(left), row = static_cast<long>(top);
    const double right_share = x - left, lower_share = y - top;
    const double upper = frame.at(column, row, channel, border) * (1 - right_share) +
                         frame.at(column + 1, row, channel, border) * right_share;
    const double lower = frame.at(column, row + 1, channel, border) * (1 - right_share) +
                         frame.at(column + 1, row + 1, channel, border) * right_share;
    return static_cast<std::uint8_t>(std::lround(upper * (1 - lower_share) + lower * lower_share));
}

// Returns size_px x size_px x 3 bytes, BGR: one image of the graph's input.
inline std::vector<std::uint8_t> crop_from_frame(const Image& frame, const Square& square, const CropRule& rule) {
    const int size = rule.size_px;
    // Divided, as facealign does it: a product may round to the other side of a pixel's edge.
    const double scale = size / square.side;
    const double middle = rule.is_nearest ? 0.5 : 0.0;  // of a pixel: PIL and OpenCV differ here
    std::vector<std::uint8_t> crop(static_cast<std::size_t>(size) * size * 3);
    std::size_t next = 0;
    for (int v = 0; v < size; ++v) {
        const double y = (v + middle - size / 2.0) / scale + square.centre_y;
        for (int u = 0; u < size; ++u) {
            const double x = (u + middle - size / 2.0) / scale + square.centre_x;
            for (int channel = 0; channel < 3; ++channel) {
                crop[next++] = rule.is_nearest
                    ? frame.at(static_cast<long>(std::floor(x)), static_cast<long>(std::floor(y)), channel, rule.border_value)
                    : bilinear(frame, x, y, channel, rule.border_value);
            }
        }
    }
    return crop;
}

}  // namespace facealign
