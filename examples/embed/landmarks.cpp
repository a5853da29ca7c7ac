// Landmarks of one face by a plan, with TensorRT 10.3 to 11.x and the CUDA runtime; no Python.
//
//   facealign build demo.bundle --precision fp16          # on this device
//   g++ -std=c++17 -O2 landmarks.cpp -I/usr/local/cuda/include -L/usr/local/cuda/lib64 -lnvinfer -lcudart -o landmarks
//   ./landmarks demo.bundle/engines/orin-trt10.3.0-fp16.plan photo.ppm 120,80,200,220 [plan.key]
//
// Prints one "x y" per landmark, in pixels of the photo. It reads a binary PPM, so that it needs no
// image library; with OpenCV, `cv::imread` gives the same BGR pixels.

#include <NvInfer.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "crop.hpp"
#include "plan_file.hpp"

namespace {

using facealign::Image;
using facealign::Plan;
using facealign::Square;
using facealign::Tensor;

class Logger : public nvinfer1::ILogger {
   public:
    void log(Severity severity, nvinfer1::AsciiChar const* message) noexcept override {
        if (severity <= Severity::kWARNING) std::fprintf(stderr, "TensorRT: %s\n", message);
    }
};

void check(bool is_good, const std::string& what) {
    if (!is_good) throw std::runtime_error(what);
}

void check_cuda(cudaError_t status, const char* call) {
    check(status == cudaSuccess, std::string(call) + ": " + cudaGetErrorString(status));
}

struct FreeDevice {
    void operator()(void* address) const { cudaFree(address); }
};
using DeviceMemory = std::unique_ptr<void, FreeDevice>;

DeviceMemory device_memory(std::size_t bytes) {
    void* address = nullptr;
    check_cuda(cudaMalloc(&address, bytes), "cudaMalloc");
    return DeviceMemory(address);
}

struct CudaStream {
    cudaStream_t handle = nullptr;
    // Not the default stream: there TensorRT waits more than it must.
    CudaStream() { check_cuda(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
    ~CudaStream() { cudaStreamDestroy(handle); }
    CudaStream(const CudaStream&) = delete;
    CudaStream& operator=(const CudaStream&) = delete;
};

std::size_t element_count(const Tensor& tensor) {
    std::size_t count = 1;
    for (std::int64_t axis : tensor.dims) count *= static_cast<std::size_t>(axis);
    return count;
}

// One context, one stream and one crop at a time. Threads may share the engine, never a context.
class Engine {
   public:
    explicit Engine(const Plan& plan) : plan_(plan) {
        runtime_.reset(nvinfer1::createInferRuntime(logger_));
        check(runtime_ != nullptr, "TensorRT does not start; is there a GPU and its driver?");
        // `read_plan` has checked these bytes; a plan that nobody checked could do anything here.
        engine_.reset(runtime_->deserializeCudaEngine(plan.data.data(), plan.data.size()));
        check(engine_ != nullptr, "this TensorRT cannot read the plan, which TensorRT " + plan.tensorrt +
                                      " built; run `facealign build` on this device");
        check_tensor(plan.input, nvinfer1::TensorIOMode::kINPUT, nvinfer1::DataType::kUINT8);
        for (const Tensor& output : plan.outputs) {
            check_tensor(output, nvinfer1::TensorIOMode::kOUTPUT, nvinfer1::DataType::kFLOAT);
        }
        context_.reset(engine_->createExecutionContext());
        check(context_ != nullptr, "TensorRT cannot make a context; is memory short?");
        bind();
    }
    ~Engine() { cudaStreamSynchronize(stream_.handle); }  // after an error something may still run
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // From one crop to the landmarks as fractions of it, x and y by turns.
    std::vector<float> run(const std::vector<std::uint8_t>& crop) {
        check_cuda(cudaMemcpyAsync(input_.get(), crop.data(), crop.size(), cudaMemcpyHostToDevice, stream_.handle),
                   "cudaMemcpyAsync to the device");
        check(context_->enqueueV3(stream_.handle), "TensorRT cannot run the plan");
        std::vector<float> landmarks(element_count(plan_.outputs[0]));
        check_cuda(cudaMemcpyAsync(landmarks.data(), outputs_[0].get(), landmarks.size() * sizeof(float),
                                   cudaMemcpyDeviceToHost, stream_.handle),
                   "cudaMemcpyAsync to the host");
        check_cuda(cudaStreamSynchronize(stream_.handle), "cudaStreamSynchronize");
        return landmarks;
    }

   private:
    void check_tensor(const Tensor& tensor, nvinfer1::TensorIOMode mode, nvinfer1::DataType type) const {
        const char* name = tensor.name.c_str();
        const nvinfer1::Dims shape = engine_->getTensorShape(name);
        bool is_same = engine_->getTensorIOMode(name) == mode && engine_->getTensorDataType(name) == type &&
                       shape.nbDims == static_cast<int>(tensor.dims.size()) + 1;
        for (int i = 1; is_same && i < shape.nbDims; ++i) is_same = shape.d[i] == tensor.dims[i - 1];
        check(is_same, "the plan's `" + tensor.name + "` is not what its sidecar promises");
    }

    void bind() {
        nvinfer1::Dims shape{};
        shape.nbDims = static_cast<int>(plan_.input.dims.size()) + 1;
        shape.d[0] = 1;
        for (int i = 1; i < shape.nbDims; ++i) shape.d[i] = plan_.input.dims[i - 1];
        check(context_->setInputShape(plan_.input.name.c_str(), shape), "the plan takes no batch of 1");
        input_ = device_memory(element_count(plan_.input));
        set_address(plan_.input, input_);
        for (const Tensor& output : plan_.outputs) {
            outputs_.push_back(device_memory(element_count(output) * sizeof(float)));
            set_address(output, outputs_.back());
        }
    }

    void set_address(const Tensor& tensor, const DeviceMemory& memory) {
        check(context_->setTensorAddress(tensor.name.c_str(), memory.get()), "cannot bind `" + tensor.name + "`");
    }

    // In this order: the last is freed first, and TensorRT's objects before what made them.
    const Plan& plan_;
    Logger logger_;
    std::unique_ptr<nvinfer1::IRuntime> runtime_;
    std::unique_ptr<nvinfer1::ICudaEngine> engine_;
    CudaStream stream_;
    DeviceMemory input_;
    std::vector<DeviceMemory> outputs_;
    std::unique_ptr<nvinfer1::IExecutionContext> context_;
};

Image read_ppm(const std::string& path) {
    const std::string data = facealign::read_file(path, std::size_t{1} << 30);
    std::istringstream header(data.substr(0, 64));
    std::string magic;
    Image image;
    int maximum = 0;
    header >> magic >> image.width >> image.height >> maximum;
    const std::size_t start = static_cast<std::size_t>(header.tellg()) + 1;
    check(header && magic == "P6" && maximum == 255 && image.width > 0 && image.height > 0 && image.width < 1 << 16 &&
              image.height < 1 << 16 && data.size() - start == std::size_t(image.width) * image.height * 3,
          "`" + path + "` is no binary PPM of 8 bits; make one with `convert photo.jpg photo.ppm`");
    image.pixels.assign(data.begin() + static_cast<std::ptrdiff_t>(start), data.end());
    for (std::size_t i = 0; i < image.pixels.size(); i += 3) std::swap(image.pixels[i], image.pixels[i + 2]);
    return image;  // RGB in the file, BGR here
}

std::vector<double> box_from_text(const std::string& text) {
    double x = 0, y = 0, width = 0, height = 0;
    char rest = 0;
    check(std::sscanf(text.c_str(), "%lf,%lf,%lf,%lf%c", &x, &y, &width, &height, &rest) == 4,
          "box `" + text + "` is not X,Y,W,H");
    return {x, y, x + width, y + height};
}

std::string read_key(const std::string& path) {
    const std::string key = facealign::read_file(path, std::size_t{1} << 16);
    check(key.size() >= 16, "`" + path + "` is no key of 16 bytes or more");
    return key;
}

void run(const std::string& plan_path, const std::string& image_path, const std::string& box, const std::string& key) {
    const Plan plan = facealign::read_plan(plan_path, key);
    const Image frame = read_ppm(image_path);
    const Square square = facealign::square_from_box(box_from_text(box), plan.crop);
    Engine engine(plan);
    const std::vector<float> landmarks = engine.run(facealign::crop_from_frame(frame, square, plan.crop));
    for (std::size_t i = 0; i + 1 < landmarks.size(); i += 2) {
        std::printf("%.4f %.4f\n", square.centre_x + square.side * (landmarks[i] - 0.5),
                    square.centre_y + square.side * (landmarks[i + 1] - 0.5));
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 4 && count != 5) {
        std::fprintf(stderr, "usage: %s PLAN IMAGE.ppm X,Y,W,H [KEY]\n", arguments[0]);
        return 2;
    }
    try {
        run(arguments[1], arguments[2], arguments[3], count == 5 ? read_key(arguments[4]) : "");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
    return 0;
}
