// A DOUBLE of libnvrtc, for tests: it compiles CUDA C with g++ for the CPU.
//
// Its "PTX" and "CUBIN" are the text `CUDA DOUBLE MODULE:<path>` that libcuda_double.cpp loads.
// Kernels must be `extern "C" __global__ void name(...)`. Libraries go where `double_nvrtc_folder`
// was told, else to $TMPDIR.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <unistd.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum Result { SUCCESS = 0, INVALID_INPUT = 3, INVALID_PROGRAM = 4, INVALID_OPTION = 5, COMPILATION = 6 };

struct Program { std::string source, log, image; };

std::map<std::string, std::pair<long, int>> failures;
std::map<std::string, long> calls;
std::string folder;
long live = 0;
int major = 12, minor = 6;

int enter(const char* name) {
  calls[name]++;
  auto found = failures.find(name);
  if (found == failures.end() || --found->second.first) return SUCCESS;
  int error = found->second.second;
  failures.erase(found);
  return error;
}

#define ENTER \
  if (int error = enter(__func__)) return error

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool is_known(const std::string& option) {
  static const std::regex known(
      "--gpu-architecture=(compute|sm)_[0-9]+[af]?|--std=c\\+\\+(14|17)|--fmad=(true|false)|"
      "-D.*|--device-as-default-execution-space|--include-path=.*|-default-device");
  return std::regex_match(option, known);
}

int give(const std::string& text, char* out) {
  std::memcpy(out, text.c_str(), text.size() + 1);
  return SUCCESS;
}

}  // namespace

EXPORT const char* nvrtcGetErrorString(int error) {
  switch (error) {
    case SUCCESS: return "NVRTC_SUCCESS";
    case INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
    case INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
    case INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
    case COMPILATION: return "NVRTC_ERROR_COMPILATION";
  }
  return "NVRTC_ERROR_INTERNAL_ERROR";
}

EXPORT int nvrtcVersion(int* out_major, int* out_minor) {
  ENTER;
  *out_major = major;
  *out_minor = minor;
  return SUCCESS;
}

EXPORT int nvrtcCreateProgram(Program** program, const char* source, const char* name, int headers,
                              const char* const* header_sources, const char* const* header_names) {
  ENTER;
  (void)name, (void)header_sources, (void)header_names;
  if (!source || headers) return INVALID_INPUT;
  *program = new Program{source, "", ""};
  live++;
  return SUCCESS;
}

EXPORT int nvrtcDestroyProgram(Program** program) {
  int error = enter(__func__);
  delete *program;
  *program = nullptr;
  live--;
  return error;
}

EXPORT int nvrtcCompileProgram(Program* program, int count, const char* const* options) {
  ENTER;
  std::string defines;
  for (int i = 0; i < count; i++) {
    std::string option = options[i];
    if (!is_known(option)) {
      program->log = "nvrtc: error: invalid value for " + option + "\n";
      return INVALID_OPTION;
    }
    if (option.rfind("-D", 0) == 0) defines += " '" + option + "'";
  }
  const char* temporary = std::getenv("TMPDIR");
  std::string stem = (!folder.empty() ? folder : temporary ? temporary : "/tmp") + "/double_kernel_" +
                     std::to_string(std::hash<std::string>()(program->source + defines)) + "_" +
                     std::to_string(getpid()) + "_" + std::to_string(calls["nvrtcCompileProgram"]);
  {
    std::ofstream file(stem + ".cpp");
    file << "#include \"" SHIM "\"\n#line 1 \"kernel.cu\"\n" << program->source << "\n";
    std::regex kernel("__global__\\s+void\\s+(?:__launch_bounds__\\s*\\([^)]*\\)\\s*)?(\\w+)\\s*\\(");
    auto begin = std::sregex_iterator(program->source.begin(), program->source.end(), kernel);
    for (auto it = begin; it != std::sregex_iterator(); ++it)
      file << "DOUBLE_KERNEL(" << (*it)[1] << ")\n";
  }
  std::string command = "g++ -std=c++17 -O2 -ffp-contract=off -shared -fPIC" + defines + " -o " + stem +
                        ".so " + stem + ".cpp 2> " + stem + ".log";
  int status = std::system(command.c_str());
  program->log = read(stem + ".log");
  std::remove((stem + ".log").c_str());
  if (status) return COMPILATION;
  program->image = "CUDA DOUBLE MODULE:" + stem + ".so";
  return SUCCESS;
}

EXPORT int nvrtcGetProgramLogSize(Program* program, size_t* size) {
  ENTER;
  *size = program->log.size() + 1;
  return SUCCESS;
}

EXPORT int nvrtcGetProgramLog(Program* program, char* out) {
  ENTER;
  return give(program->log, out);
}

EXPORT int nvrtcGetPTXSize(Program* program, size_t* size) {
  ENTER;
  if (program->image.empty()) return INVALID_PROGRAM;
  *size = program->image.size() + 1;
  return SUCCESS;
}

EXPORT int nvrtcGetPTX(Program* program, char* out) {
  ENTER;
  return give(program->image, out);
}

EXPORT int nvrtcGetCUBINSize(Program* program, size_t* size) {
  ENTER;
  if (program->image.empty()) return INVALID_PROGRAM;
  *size = program->image.size() + 1;
  return SUCCESS;
}

EXPORT int nvrtcGetCUBIN(Program* program, char* out) {
  ENTER;
  return give(program->image, out);
}

// ---------------------------------------------------------------------------------- control by tests

EXPORT void double_nvrtc_folder(const char* path) { folder = path; }
EXPORT void double_nvrtc_fail_at(const char* name, long nth, int error) { failures[name] = {nth, error}; }
EXPORT void double_nvrtc_version(int new_major, int new_minor) { major = new_major, minor = new_minor; }
EXPORT long double_nvrtc_calls(const char* name) { return calls[name]; }
EXPORT long double_nvrtc_live() { return live; }
EXPORT void double_nvrtc_reset() {
  failures.clear();
  calls.clear();
  live = 0;
  major = 12, minor = 6;
}
