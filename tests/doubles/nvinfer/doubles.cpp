// DOUBLES of TensorRT and of the CUDA runtime, so that landmarks.cpp runs once as a whole without
// either: device memory is the heap, and a plan's answer is canned.
//
// A plan of the double is text: "double\n", then "image 1 5 B 16 16 3\n" per tensor: name, mode,
// type, shape; "#" begins a comment. NVINFER_DOUBLE_ANSWER is a file with the float32 values of the first output,
// NVINFER_DOUBLE_INPUT where the input is written, NVINFER_DOUBLE_FAIL the call that fails. What is
// not freed, or used against the rules, is said on stderr when the process ends.

#include <NvInfer.h>
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

int alive = 0;
std::map<void*, std::size_t> memory;  // of the "device"
bool is_run = false;                  // enqueued, not synchronised

struct Report {
    ~Report() {
        if (alive != 0 || !memory.empty()) {
            std::fprintf(stderr, "double: %d objects and %zu buffers were not freed\n", alive, memory.size());
        }
    }
} report;

void complain(const char* what) { std::fprintf(stderr, "double: %s\n", what); }

bool fails(const char* call) {
    const char* asked = std::getenv("NVINFER_DOUBLE_FAIL");
    return asked != nullptr && std::strcmp(asked, call) == 0;
}

std::size_t known_bytes(void* address) {
    const auto found = memory.find(address);
    return found == memory.end() ? 0 : found->second;
}

struct Tensor {
    std::string name;
    nvinfer1::TensorIOMode mode;
    nvinfer1::DataType type;
    nvinfer1::Dims shape;
};

std::size_t bytes_of(const Tensor& tensor) {
    std::size_t bytes = tensor.type == nvinfer1::DataType::kUINT8 ? 1 : 4;
    for (int i = 1; i < tensor.shape.nbDims; ++i) bytes *= static_cast<std::size_t>(tensor.shape.d[i]);
    return bytes;
}

class Context : public nvinfer1::IExecutionContext {
   public:
    explicit Context(std::vector<Tensor> tensors) : tensors_(std::move(tensors)) { ++alive; }
    ~Context() noexcept override {
        if (is_run) complain("a context was freed while it runs");
        --alive;
    }

    bool setInputShape(char const* name, nvinfer1::Dims const& dims) noexcept override {
        if (fails("setInputShape")) return false;
        const nvinfer1::Dims& shape = tensors_[0].shape;
        bool is_good = name == tensors_[0].name && dims.nbDims == shape.nbDims && dims.d[0] == 1;
        for (int i = 1; is_good && i < shape.nbDims; ++i) is_good = dims.d[i] == shape.d[i];
        return has_shape_ = is_good;
    }

    bool setTensorAddress(char const* name, void* data) noexcept override {
        if (fails("setTensorAddress")) return false;
        for (const Tensor& tensor : tensors_) {
            if (tensor.name == name && known_bytes(data) >= bytes_of(tensor)) return addresses_[name] = data, true;
        }
        return false;
    }

    bool enqueueV3(cudaStream_t stream) noexcept override {
        if (fails("enqueueV3")) return false;
        if (stream == nullptr || !has_shape_ || addresses_.size() != tensors_.size()) return false;
        if (const char* path = std::getenv("NVINFER_DOUBLE_INPUT")) {
            std::ofstream(path, std::ios::binary)
                .write(static_cast<const char*>(addresses_[tensors_[0].name]),
                       static_cast<std::streamsize>(bytes_of(tensors_[0])));
        }
        std::ifstream answer(std::getenv("NVINFER_DOUBLE_ANSWER"), std::ios::binary);
        answer.read(static_cast<char*>(addresses_[tensors_[1].name]),
                    static_cast<std::streamsize>(bytes_of(tensors_[1])));
        is_run = true;
        return answer.good();
    }

   private:
    std::vector<Tensor> tensors_;
    std::map<std::string, void*> addresses_;
    bool has_shape_ = false;
};

class Engine : public nvinfer1::ICudaEngine {
   public:
    explicit Engine(std::istream& text) {
        ++alive;
        for (std::string line; std::getline(text, line);) {
            if (line.compare(0, 1, "#") != 0) tensors_.push_back(tensor_from(line));
        }
    }
    ~Engine() noexcept override { --alive; }

    nvinfer1::Dims getTensorShape(char const* name) const noexcept override { return found(name).shape; }
    nvinfer1::DataType getTensorDataType(char const* name) const noexcept override { return found(name).type; }
    nvinfer1::TensorIOMode getTensorIOMode(char const* name) const noexcept override { return found(name).mode; }
    nvinfer1::IExecutionContext* createExecutionContext(
        nvinfer1::ExecutionContextAllocationStrategy) noexcept override {
        return fails("createExecutionContext") ? nullptr : new Context(tensors_);
    }

   private:
    static Tensor tensor_from(const std::string& line) {
        std::istringstream words(line);
        std::string name, batch;
        int mode = 0, type = 0;
        words >> name >> mode >> type >> batch;
        nvinfer1::Dims shape{1, {-1}};
        while (words >> shape.d[shape.nbDims]) ++shape.nbDims;
        return {name, static_cast<nvinfer1::TensorIOMode>(mode), static_cast<nvinfer1::DataType>(type), shape};
    }

    const Tensor& found(const std::string& name) const {
        static const Tensor none{"", nvinfer1::TensorIOMode::kNONE, nvinfer1::DataType::kFLOAT, {-1, {}}};
        for (const Tensor& tensor : tensors_) {
            if (tensor.name == name) return tensor;
        }
        return none;
    }

    std::vector<Tensor> tensors_;
};

class Runtime : public nvinfer1::IRuntime {
   public:
    explicit Runtime(nvinfer1::ILogger& logger) : logger_(logger) { ++alive; }
    ~Runtime() noexcept override { --alive; }

    nvinfer1::ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size) noexcept override {
        std::istringstream text(std::string(static_cast<const char*>(blob), size));
        std::string magic;
        std::getline(text, magic);
        if (magic == "double" && !fails("deserializeCudaEngine")) return new Engine(text);
        logger_.log(nvinfer1::ILogger::Severity::kERROR, "the plan is of another version");
        return nullptr;
    }

   private:
    nvinfer1::ILogger& logger_;
};

}  // namespace

nvinfer1::IRuntime* nvinfer1::createInferRuntime(ILogger& logger) noexcept {
    return fails("createInferRuntime") ? nullptr : new Runtime(logger);
}

extern "C" {

cudaError_t cudaMalloc(void** address, std::size_t size) {
    if (fails("cudaMalloc")) return cudaErrorMemoryAllocation;
    memory[*address = std::malloc(size)] = size;
    return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
    if (memory.erase(address) == 0) complain("cudaFree of what is not there");
    std::free(address);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t size, cudaMemcpyKind kind, cudaStream_t) {
    const bool is_up = kind == cudaMemcpyHostToDevice;
    if (fails(is_up ? "cudaMemcpyAsync up" : "cudaMemcpyAsync down")) return cudaErrorMemoryAllocation;
    if (known_bytes(is_up ? target : const_cast<void*>(source)) < size) complain("a copy past the end of a buffer");
    std::memcpy(target, source, size);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int) {
    if (fails("cudaStreamCreateWithFlags")) return cudaErrorMemoryAllocation;
    *stream = reinterpret_cast<cudaStream_t>(std::malloc(1));
    ++alive;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    std::free(stream);
    --alive;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) {
    is_run = false;
    return fails("cudaStreamSynchronize") ? cudaErrorMemoryAllocation : cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t) { return "out of memory"; }
}
