// A DOUBLE of libcuda.so.1, for tests: it has no GPU and is not NVIDIA's library.
//
// It has the functions of the CUDA driver that facealign calls, under their real names, and
// `double_*` to watch and to disturb it:
//   - memory of the device is memory of the CPU, filled with 0xCD so that nothing relies on zeros;
//     mapped memory has two addresses, as on a device;
//   - work is queued, and runs only when someone waits for it, so that a forgotten wait shows;
//   - a captured stream records its work, and a launched graph queues it again;
//   - kernels are the real sources, compiled for the CPU (see kernel_shim.h);
//   - every handle, address and current context is checked; every object is counted;
//   - the n-th call of any function can be told to fail.
// What destroys an object destroys it even when told to fail: CUDA does so when it reports the error
// of earlier work.

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum Result {
  SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, DEINITIALIZED = 4, NO_DEVICE = 100,
  INVALID_DEVICE = 101, INVALID_IMAGE = 200, INVALID_CONTEXT = 201, INVALID_SOURCE = 300,
  INVALID_HANDLE = 400, ILLEGAL_STATE = 401, NOT_FOUND = 500, NOT_READY = 600,
  ILLEGAL_ADDRESS = 700, LAUNCH_OUT_OF_RESOURCES = 701, LAUNCH_FAILED = 719, NOT_SUPPORTED = 801,
  CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, CAPTURE_WRONG_THREAD = 908, UNKNOWN = 999,
};

const std::map<int, std::pair<const char*, const char*>> WORDS = {
  {SUCCESS, {"CUDA_SUCCESS", "no error"}},
  {INVALID_VALUE, {"CUDA_ERROR_INVALID_VALUE", "invalid argument"}},
  {OUT_OF_MEMORY, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}},
  {NOT_INITIALIZED, {"CUDA_ERROR_NOT_INITIALIZED", "initialization error"}},
  {DEINITIALIZED, {"CUDA_ERROR_DEINITIALIZED", "driver shutting down"}},
  {NO_DEVICE, {"CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"}},
  {INVALID_DEVICE, {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"}},
  {INVALID_IMAGE, {"CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"}},
  {INVALID_CONTEXT, {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"}},
  {INVALID_SOURCE, {"CUDA_ERROR_INVALID_SOURCE", "device kernel image is invalid"}},
  {INVALID_HANDLE, {"CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"}},
  {ILLEGAL_STATE, {"CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"}},
  {NOT_FOUND, {"CUDA_ERROR_NOT_FOUND", "named symbol not found"}},
  {NOT_READY, {"CUDA_ERROR_NOT_READY", "device not ready"}},
  {ILLEGAL_ADDRESS, {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"}},
  {LAUNCH_OUT_OF_RESOURCES, {"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"}},
  {LAUNCH_FAILED, {"CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"}},
  {NOT_SUPPORTED, {"CUDA_ERROR_NOT_SUPPORTED", "operation not supported"}},
  {CAPTURE_UNSUPPORTED, {"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"}},
  {CAPTURE_INVALIDATED, {"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"}},
  {CAPTURE_WRONG_THREAD, {"CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"}},
  {UNKNOWN, {"CUDA_ERROR_UNKNOWN", "unknown error"}},
};

using Op = std::function<int()>;
using Handle = void*;
using Address = unsigned long long;

struct Stream {
  std::deque<Op> queue;
  std::recursive_mutex running;
  bool capturing = false, invalid = false;
  int mode = 0;
  std::thread::id owner;
  std::vector<Op> captured;
};

struct Event {
  bool timing = true;
  std::weak_ptr<Stream> stream;
  long recorded = 0, reached = 0;
  std::chrono::steady_clock::time_point when;
};

struct Module {
  void* library = nullptr;
  bool live = true;
  std::map<std::string, Handle> functions;
  ~Module() { if (library) dlclose(library); }
};

struct Function {
  std::shared_ptr<Module> module;
  std::vector<size_t> sizes, alignments;
  void (*run)(const unsigned* grid, const unsigned* block, void** parameters) = nullptr;
};

struct Graph { std::vector<Op> work; };

struct HostMemory {
  size_t size = 0;
  char* alias = nullptr;  // where the device has it, if it is mapped
};

struct Failure { long countdown; int error; };

struct State {
  std::mutex mutex;  // never held while work runs: a callback may take Python's lock
  bool initialised = false;
  int sticky = SUCCESS;
  std::map<std::string, long> calls, settings;
  std::map<std::string, std::vector<Failure>> failures;
  long allocations = 0, orphans = 0, pageable = 0, blocking_streams = 0, unportable = 0;
  size_t peak_bytes = 0, live_bytes = 0;
  std::map<Handle, std::shared_ptr<Stream>> streams;
  std::map<Handle, std::shared_ptr<Event>> events;
  std::map<Handle, std::shared_ptr<Module>> modules;
  std::map<Handle, std::shared_ptr<Function>> functions;
  std::map<Handle, std::shared_ptr<Graph>> graphs, executables;
  std::map<Address, size_t> device;
  std::map<char*, HostMemory> host;
  std::map<int, long> retained;
  std::shared_ptr<Stream> standard = std::make_shared<Stream>();
};

State& state() {
  static State* one = new State;  // never destroyed: Python may close things at exit
  return *one;
}

// Never the same twice, so that a handle is known to be stale after its object is destroyed.
Handle fresh() {
  static uintptr_t last = 0x10000;
  return reinterpret_cast<Handle>(last += 16);
}

template <class T>
Handle kept(std::map<Handle, std::shared_ptr<T>>& all, std::shared_ptr<T> made) {
  Handle handle = fresh();
  all[handle] = std::move(made);
  return handle;
}

char contexts[16];  // the primary context of device i is &contexts[i]
thread_local std::vector<Handle> current;

using Lock = std::lock_guard<std::mutex>;

long setting(const char* key) {
  static const std::map<std::string, long> standard = {
    {"device_count", 1}, {"major", 8}, {"minor", 7}, {"integrated", 0},
    {"driver_version", 12060}, {"memory_mib", 8192}, {"can_map", 1},
  };
  auto found = state().settings.find(key);
  return found == state().settings.end() ? standard.at(key) : found->second;
}

// Counts the call; says whether it is told to fail.
int counted(const char* name) {
  State& s = state();
  s.calls[name]++;
  auto& failures = s.failures[name];
  for (size_t i = 0; i < failures.size(); i++) {
    if (--failures[i].countdown == 0) {
      int error = failures[i].error;
      failures.erase(failures.begin() + i);
      return error;
    }
  }
  return SUCCESS;
}

enum Need { NOTHING, INIT, CONTEXT };

int enter_locked(const char* name, Need need) {
  State& s = state();
  if (int error = counted(name)) return error;
  if (need >= INIT && !s.initialised) return NOT_INITIALIZED;
  if (need >= CONTEXT) {
    if (current.empty() || !current.back()) return INVALID_CONTEXT;
    int device = static_cast<int>(static_cast<char*>(current.back()) - contexts);
    if (s.retained[device] <= 0) return INVALID_CONTEXT;
    if (s.sticky) return s.sticky;
  }
  return SUCCESS;
}

int enter(const char* name, Need need) {
  Lock lock(state().mutex);
  return enter_locked(name, need);
}

// What destroys goes on after an error that is told or of earlier work, but not without a context.
bool refused(int error) { return error == INVALID_CONTEXT || error == NOT_INITIALIZED; }

#define ENTER(need) \
  if (int error = enter(__func__, need)) return error

std::shared_ptr<Stream> stream_of(Handle handle) {
  if (!handle) return state().standard;
  auto found = state().streams.find(handle);
  return found == state().streams.end() ? nullptr : found->second;
}

template <class T>
std::shared_ptr<T> find(std::map<Handle, std::shared_ptr<T>>& all, Handle handle) {
  auto found = all.find(handle);
  return found == all.end() ? nullptr : found->second;
}

bool on_device(Address address, size_t size) {
  State& s = state();
  auto next = s.device.upper_bound(address);
  if (next != s.device.begin()) {
    --next;
    if (address + size <= next->first + next->second) return true;
  }
  for (auto& [pointer, memory] : s.host) {
    Address alias = reinterpret_cast<Address>(memory.alias);
    if (alias && address >= alias && address + size <= alias + memory.size) return true;
  }
  return false;
}

enum Place { PAGEABLE, PINNED, TORN };

Place on_host(const void* pointer, size_t size) {
  const char* first = static_cast<const char*>(pointer);
  for (auto& [start, memory] : state().host) {
    if (first >= start && first < start + memory.size)
      return first + size <= start + memory.size ? PINNED : TORN;
  }
  return PAGEABLE;
}

// Runs what is queued until nothing is left, or `until` says enough.
int drain(const std::shared_ptr<Stream>& stream, const std::function<bool()>& until = nullptr) {
  std::lock_guard<std::recursive_mutex> running(stream->running);
  for (;;) {
    Op op;
    {
      Lock lock(state().mutex);
      if (state().sticky) return state().sticky;
      if (stream->queue.empty() || (until && until())) return SUCCESS;
      op = std::move(stream->queue.front());
      stream->queue.pop_front();
    }
    if (int error = op()) {
      Lock lock(state().mutex);
      state().sticky = error;
    }
  }
}

int drain_all() {
  std::vector<std::shared_ptr<Stream>> all;
  {
    Lock lock(state().mutex);
    for (auto& entry : state().streams) all.push_back(entry.second);
    all.push_back(state().standard);
  }
  int first = SUCCESS;
  for (auto& stream : all) {
    int error = drain(stream);
    if (!first) first = error;
  }
  return first;
}

int queue_locked(const std::shared_ptr<Stream>& stream, Op op) {
  if (!stream) return INVALID_HANDLE;
  if (stream->capturing) {
    if (stream->invalid) return CAPTURE_INVALIDATED;
    stream->captured.push_back(std::move(op));
  } else {
    stream->queue.push_back(std::move(op));
  }
  return SUCCESS;
}

// What a capture forbids to its own thread, unless it is relaxed (mode 2): to allocate, free, load.
int unsafe_locked() {
  int error = SUCCESS;
  for (auto& entry : state().streams) {
    Stream& stream = *entry.second;
    bool forbids = stream.mode == 0 || (stream.mode == 1 && stream.owner == std::this_thread::get_id());
    if (stream.capturing && forbids) {
      stream.invalid = true;
      error = CAPTURE_UNSUPPORTED;
    }
  }
  return error;
}

int drain_unless_capturing(const std::shared_ptr<Stream>& stream) {
  {
    Lock lock(state().mutex);
    if (stream->capturing) {
      stream->invalid = true;
      return CAPTURE_UNSUPPORTED;
    }
  }
  return drain(stream);
}

int copy(const char* name, bool to_device, Address device, const void* host, size_t size, Handle handle) {
  Lock lock(state().mutex);
  if (int error = enter_locked(name, CONTEXT)) return error;
  Place place = on_host(host, size);
  if (!on_device(device, size) || place == TORN) return INVALID_VALUE;
  if (place == PAGEABLE) state().pageable++;
  void* there = reinterpret_cast<void*>(device);
  return queue_locked(stream_of(handle), [=] {
    {
      Lock lock(state().mutex);
      if (!on_device(device, size) || on_host(host, size) != place) return static_cast<int>(ILLEGAL_ADDRESS);
    }
    if (to_device) std::memcpy(there, host, size);
    else std::memcpy(const_cast<void*>(host), there, size);
    return static_cast<int>(SUCCESS);
  });
}

void allocated(size_t size) {
  State& s = state();
  s.allocations++;
  s.live_bytes += size;
  if (s.live_bytes > s.peak_bytes) s.peak_bytes = s.live_bytes;
}

void release_host(char* pointer, const HostMemory& memory) {
  if (memory.alias) {
    munmap(memory.alias, memory.size);
    munmap(pointer, memory.size);
  } else {
    std::free(pointer);
  }
}

}  // namespace

// ---------------------------------------------------------------- driver: errors, devices, contexts

EXPORT int cuGetErrorName(int error, const char** text) {
  auto found = WORDS.find(error);
  *text = found == WORDS.end() ? nullptr : found->second.first;
  return found == WORDS.end() ? INVALID_VALUE : SUCCESS;
}

EXPORT int cuGetErrorString(int error, const char** text) {
  auto found = WORDS.find(error);
  *text = found == WORDS.end() ? nullptr : found->second.second;
  return found == WORDS.end() ? INVALID_VALUE : SUCCESS;
}

EXPORT int cuInit(unsigned flags) {
  ENTER(NOTHING);
  if (flags) return INVALID_VALUE;
  Lock lock(state().mutex);
  if (setting("device_count") == 0) return NO_DEVICE;
  state().initialised = true;
  return SUCCESS;
}

EXPORT int cuDriverGetVersion(int* version) {
  ENTER(NOTHING);
  *version = static_cast<int>(setting("driver_version"));
  return SUCCESS;
}

EXPORT int cuDeviceGetCount(int* count) {
  ENTER(INIT);
  *count = static_cast<int>(setting("device_count"));
  return SUCCESS;
}

EXPORT int cuDeviceGet(int* device, int ordinal) {
  ENTER(INIT);
  if (ordinal < 0 || ordinal >= setting("device_count")) return INVALID_DEVICE;
  *device = ordinal;
  return SUCCESS;
}

EXPORT int cuDeviceGetName(char* name, int size, int device) {
  ENTER(INIT);
  (void)device;
  std::snprintf(name, size, "CUDA double");
  return SUCCESS;
}

EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  ENTER(INIT);
  (void)device;
  *bytes = static_cast<size_t>(setting("memory_mib")) << 20;
  return SUCCESS;
}

EXPORT int cuDeviceGetAttribute(int* value, int attribute, int device) {
  ENTER(INIT);
  (void)device;
  switch (attribute) {
    case 18: *value = static_cast<int>(setting("integrated")); return SUCCESS;
    case 19: *value = static_cast<int>(setting("can_map")); return SUCCESS;
    case 75: *value = static_cast<int>(setting("major")); return SUCCESS;
    case 76: *value = static_cast<int>(setting("minor")); return SUCCESS;
  }
  *value = 0;
  return SUCCESS;
}

EXPORT int cuDeviceComputeCapability(int* major, int* minor, int device) {
  ENTER(INIT);
  (void)device;
  *major = static_cast<int>(setting("major"));
  *minor = static_cast<int>(setting("minor"));
  return SUCCESS;
}

EXPORT int cuDevicePrimaryCtxRetain(Handle* context, int device) {
  ENTER(INIT);
  if (device < 0 || device >= setting("device_count")) return INVALID_DEVICE;
  Lock lock(state().mutex);
  state().retained[device]++;
  *context = &contexts[device];
  return SUCCESS;
}

EXPORT int cuDevicePrimaryCtxRelease_v2(int device) {
  int error = enter(__func__, INIT);
  Lock lock(state().mutex);
  State& s = state();
  if (s.retained[device] <= 0) return error ? error : INVALID_CONTEXT;
  if (--s.retained[device] == 0) {
    s.orphans += s.streams.size() + s.events.size() + s.modules.size() + s.device.size() +
                 s.host.size() + s.executables.size();
  }
  return error;
}

EXPORT int cuCtxSetCurrent(Handle context) {
  ENTER(INIT);
  if (current.empty()) current.push_back(context);
  else current.back() = context;
  return SUCCESS;
}

EXPORT int cuCtxGetCurrent(Handle* context) {
  ENTER(INIT);
  *context = current.empty() ? nullptr : current.back();
  return SUCCESS;
}

EXPORT int cuCtxPushCurrent_v2(Handle context) {
  ENTER(INIT);
  if (context < contexts || context >= contexts + sizeof contexts) return INVALID_CONTEXT;
  current.push_back(context);
  return SUCCESS;
}

EXPORT int cuCtxPopCurrent_v2(Handle* context) {
  int error = enter(__func__, INIT);
  if (current.empty()) return error ? error : INVALID_CONTEXT;
  if (context) *context = current.back();
  current.pop_back();
  return error;
}

EXPORT int cuCtxGetDevice(int* device) {
  ENTER(CONTEXT);
  *device = static_cast<int>(static_cast<char*>(current.back()) - contexts);
  return SUCCESS;
}

EXPORT int cuCtxGetApiVersion(Handle context, unsigned* version) {
  ENTER(INIT);
  (void)context;
  *version = 3020;
  return SUCCESS;
}

EXPORT int cuCtxSynchronize() {
  ENTER(CONTEXT);
  {
    Lock lock(state().mutex);
    if (int error = unsafe_locked()) return error;
  }
  return drain_all();
}

// -------------------------------------------------------------------------------- streams and events

EXPORT int cuStreamCreate(Handle* stream, unsigned flags) {
  ENTER(CONTEXT);
  if (flags > 1) return INVALID_VALUE;
  Lock lock(state().mutex);
  auto made = std::make_shared<Stream>();
  if (!(flags & 1)) state().blocking_streams++;
  *stream = kept(state().streams, made);
  return SUCCESS;
}

EXPORT int cuStreamDestroy_v2(Handle handle) {
  int error = enter(__func__, CONTEXT);
  if (refused(error)) return error;
  std::shared_ptr<Stream> stream;
  {
    Lock lock(state().mutex);
    stream = find(state().streams, handle);
    if (!stream) return error ? error : INVALID_HANDLE;
  }
  int work = drain(stream);
  Lock lock(state().mutex);
  state().streams.erase(handle);
  return error ? error : work;
}

EXPORT int cuStreamSynchronize(Handle handle) {
  ENTER(CONTEXT);
  std::shared_ptr<Stream> stream;
  {
    Lock lock(state().mutex);
    stream = stream_of(handle);
  }
  return stream ? drain_unless_capturing(stream) : INVALID_HANDLE;
}

EXPORT int cuStreamQuery(Handle handle) {
  ENTER(CONTEXT);
  std::shared_ptr<Stream> stream;
  {
    Lock lock(state().mutex);
    stream = stream_of(handle);
    if (!stream) return INVALID_HANDLE;
    if (stream->queue.empty()) return SUCCESS;
  }
  if (int error = drain_unless_capturing(stream)) return error;
  return NOT_READY;  // so that a caller who asks once sees work that is not done
}

EXPORT int cuStreamWaitEvent(Handle handle, Handle event_handle, unsigned flags) {
  ENTER(CONTEXT);
  (void)flags;
  Lock lock(state().mutex);
  auto event = find(state().events, event_handle);
  if (!event) return INVALID_HANDLE;
  long ticket = event->recorded;
  return queue_locked(stream_of(handle), [event, ticket] {
    auto other = event->stream.lock();
    return other ? drain(other, [=] { return event->reached >= ticket; }) : static_cast<int>(SUCCESS);
  });
}

EXPORT int cuEventCreate(Handle* event, unsigned flags) {
  ENTER(CONTEXT);
  if (flags > 3) return INVALID_VALUE;
  Lock lock(state().mutex);
  auto made = std::make_shared<Event>();
  made->timing = !(flags & 2);
  *event = kept(state().events, made);
  return SUCCESS;
}

EXPORT int cuEventDestroy_v2(Handle handle) {
  int error = enter(__func__, CONTEXT);
  if (refused(error)) return error;
  Lock lock(state().mutex);
  size_t erased = state().events.erase(handle);
  return error ? error : erased ? SUCCESS : INVALID_HANDLE;
}

EXPORT int cuEventRecord(Handle handle, Handle stream_handle) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  auto event = find(state().events, handle);
  auto stream = stream_of(stream_handle);
  if (!event || !stream) return INVALID_HANDLE;
  if (stream->capturing) return queue_locked(stream, [] { return 0; });
  long ticket = ++event->recorded;
  event->stream = stream;
  return queue_locked(stream, [event, ticket] {
    Lock inner(state().mutex);
    event->reached = ticket;
    event->when = std::chrono::steady_clock::now();
    return static_cast<int>(SUCCESS);
  });
}

EXPORT int cuEventSynchronize(Handle handle) {
  ENTER(CONTEXT);
  std::shared_ptr<Event> event;
  std::shared_ptr<Stream> stream;
  long ticket;
  {
    Lock lock(state().mutex);
    event = find(state().events, handle);
    if (!event) return INVALID_HANDLE;
    ticket = event->recorded;
    stream = event->stream.lock();
  }
  return stream ? drain(stream, [=] { return event->reached >= ticket; }) : static_cast<int>(SUCCESS);
}

EXPORT int cuEventQuery(Handle handle) {
  ENTER(CONTEXT);
  std::shared_ptr<Event> event;
  {
    Lock lock(state().mutex);
    event = find(state().events, handle);
    if (!event) return INVALID_HANDLE;
    if (event->reached >= event->recorded) return SUCCESS;
  }
  auto stream = event->stream.lock();
  long ticket = event->recorded;
  if (int error = stream ? drain(stream, [=] { return event->reached >= ticket; }) : 0) return error;
  return NOT_READY;
}

EXPORT int cuEventElapsedTime(float* milliseconds, Handle start, Handle end) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  auto from = find(state().events, start), to = find(state().events, end);
  if (!from || !to || !from->timing || !to->timing) return INVALID_HANDLE;
  if (!from->recorded || !to->recorded) return INVALID_HANDLE;
  if (from->reached < from->recorded || to->reached < to->recorded) return NOT_READY;
  *milliseconds = std::chrono::duration<float, std::milli>(to->when - from->when).count();
  return SUCCESS;
}

// The name that a program compiled with CUDA 12.8 or newer asks for, such as pycuda.
EXPORT int cuEventElapsedTime_v2(float* milliseconds, Handle start, Handle end) {
  return cuEventElapsedTime(milliseconds, start, end);
}

// -------------------------------------------------------------------------------- memory and copies

EXPORT int cuMemAlloc_v2(Address* address, size_t size) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  if (int error = unsafe_locked()) return error;
  if (size == 0) return INVALID_VALUE;
  if (size > static_cast<size_t>(setting("memory_mib")) << 20) return OUT_OF_MEMORY;
  void* memory = std::aligned_alloc(256, (size + 255) / 256 * 256);
  if (!memory) return OUT_OF_MEMORY;
  std::memset(memory, 0xCD, size);
  *address = reinterpret_cast<Address>(memory);
  state().device[*address] = size;
  allocated(size);
  return SUCCESS;
}

EXPORT int cuMemFree_v2(Address address) {
  int error = enter(__func__, CONTEXT);
  if (refused(error)) return error;
  {
    Lock lock(state().mutex);
    if (int unsafe = unsafe_locked()) return unsafe;
    if (!state().device.count(address)) return error ? error : INVALID_VALUE;
  }
  int work = drain_all();  // the real one waits, too
  Lock lock(state().mutex);
  state().live_bytes -= state().device[address];
  state().device.erase(address);
  std::free(reinterpret_cast<void*>(address));
  return error ? error : work;
}

EXPORT int cuMemHostAlloc(void** pointer, size_t size, unsigned flags) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  if (int error = unsafe_locked()) return error;
  if (size == 0 || flags > 7) return INVALID_VALUE;
  HostMemory memory;
  memory.size = size;
  if (flags & 2) {
    int file = memfd_create("double", 0);
    if (file < 0 || ftruncate(file, size)) return OUT_OF_MEMORY;
    *pointer = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    memory.alias = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    close(file);
    if (*pointer == MAP_FAILED || memory.alias == MAP_FAILED) return OUT_OF_MEMORY;
  } else {
    *pointer = std::aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    if (!*pointer) return OUT_OF_MEMORY;
  }
  std::memset(*pointer, 0xCD, size);
  if (!(flags & 1)) state().unportable++;
  state().host[static_cast<char*>(*pointer)] = memory;
  allocated(size);
  return SUCCESS;
}

EXPORT int cuMemFreeHost(void* pointer) {
  int error = enter(__func__, CONTEXT);
  if (refused(error)) return error;
  char* key = static_cast<char*>(pointer);
  {
    Lock lock(state().mutex);
    if (int unsafe = unsafe_locked()) return unsafe;
    if (!state().host.count(key)) return error ? error : INVALID_VALUE;
  }
  int work = drain_all();
  Lock lock(state().mutex);
  state().live_bytes -= state().host[key].size;
  release_host(key, state().host[key]);
  state().host.erase(key);
  return error ? error : work;
}

EXPORT int cuMemHostGetDevicePointer_v2(Address* address, void* pointer, unsigned flags) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  auto found = state().host.find(static_cast<char*>(pointer));
  if (flags || found == state().host.end() || !found->second.alias) return INVALID_VALUE;
  *address = reinterpret_cast<Address>(found->second.alias);
  return SUCCESS;
}

EXPORT int cuMemGetInfo_v2(size_t* available, size_t* total) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  *total = static_cast<size_t>(setting("memory_mib")) << 20;
  *available = *total - state().live_bytes;
  return SUCCESS;
}

EXPORT int cuMemcpyHtoDAsync_v2(Address target, const void* source, size_t size, Handle stream) {
  return copy(__func__, true, target, source, size, stream);
}

EXPORT int cuMemcpyDtoHAsync_v2(void* target, Address source, size_t size, Handle stream) {
  return copy(__func__, false, source, target, size, stream);
}

EXPORT int cuMemsetD8Async(Address target, unsigned char value, size_t size, Handle stream) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  if (!on_device(target, size)) return INVALID_VALUE;
  return queue_locked(stream_of(stream), [=] {
    std::memset(reinterpret_cast<void*>(target), value, size);
    return static_cast<int>(SUCCESS);
  });
}

// -------------------------------------------------------------------------------- capture and graphs

EXPORT int cuStreamBeginCapture_v2(Handle handle, int mode) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  auto stream = stream_of(handle);
  if (!stream) return INVALID_HANDLE;
  if (!handle) return CAPTURE_UNSUPPORTED;
  if (stream->capturing) return ILLEGAL_STATE;
  stream->capturing = true;
  stream->invalid = false;
  stream->mode = mode;
  stream->owner = std::this_thread::get_id();
  stream->captured.clear();
  return SUCCESS;
}

EXPORT int cuStreamIsCapturing(Handle handle, int* status) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  auto stream = stream_of(handle);
  if (!stream) return INVALID_HANDLE;
  *status = !stream->capturing ? 0 : stream->invalid ? 2 : 1;
  return SUCCESS;
}

// Ends the capture even when told to fail: so does the real one with a capture that is invalid.
EXPORT int cuStreamEndCapture(Handle handle, Handle* graph) {
  int error = enter(__func__, CONTEXT);
  if (refused(error)) return error;
  Lock lock(state().mutex);
  auto stream = stream_of(handle);
  *graph = nullptr;
  if (!stream) return error ? error : INVALID_HANDLE;
  if (!stream->capturing) return error ? error : ILLEGAL_STATE;
  if (stream->mode != 2 && stream->owner != std::this_thread::get_id()) return CAPTURE_WRONG_THREAD;
  stream->capturing = false;
  auto made = std::make_shared<Graph>();
  made->work.swap(stream->captured);
  if (error) return error;
  if (stream->invalid) return CAPTURE_INVALIDATED;
  *graph = kept(state().graphs, made);
  return SUCCESS;
}

EXPORT int cuGraphInstantiateWithFlags(Handle* executable, Handle graph, unsigned long long flags) {
  ENTER(CONTEXT);
  (void)flags;
  Lock lock(state().mutex);
  auto found = find(state().graphs, graph);
  if (!found) return INVALID_VALUE;
  auto made = std::make_shared<Graph>(*found);
  *executable = kept(state().executables, made);
  return SUCCESS;
}

EXPORT int cuGraphLaunch(Handle executable, Handle handle) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  auto found = find(state().executables, executable);
  if (!found) return INVALID_VALUE;
  return queue_locked(stream_of(handle), [found] {
    for (auto& op : found->work)
      if (int error = op()) return error;
    return static_cast<int>(SUCCESS);
  });
}

EXPORT int cuGraphDestroy(Handle graph) {
  int error = enter(__func__, CONTEXT);
  if (refused(error)) return error;
  Lock lock(state().mutex);
  size_t erased = state().graphs.erase(graph);
  return error ? error : erased ? SUCCESS : INVALID_VALUE;
}

EXPORT int cuGraphExecDestroy(Handle executable) {
  int error = enter(__func__, CONTEXT);
  if (refused(error)) return error;
  Lock lock(state().mutex);
  size_t erased = state().executables.erase(executable);
  return error ? error : erased ? SUCCESS : INVALID_VALUE;
}

// ------------------------------------------------------------------------------- modules and kernels

// An image is the text `CUDA DOUBLE MODULE:<path>` of a library made by nvrtc_double.cpp.
EXPORT int cuModuleLoadData(Handle* module, const void* image) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  if (int error = unsafe_locked()) return error;
  static const char prefix[] = "CUDA DOUBLE MODULE:";
  const char* text = static_cast<const char*>(image);
  if (std::strncmp(text, prefix, sizeof prefix - 1)) return INVALID_IMAGE;
  auto made = std::make_shared<Module>();
  made->library = dlopen(text + sizeof prefix - 1, RTLD_NOW | RTLD_LOCAL);
  if (!made->library) return INVALID_IMAGE;
  *module = kept(state().modules, made);
  return SUCCESS;
}

EXPORT int cuModuleLoadDataEx(Handle* module, const void* image, unsigned, int*, void**) {
  return cuModuleLoadData(module, image);
}

EXPORT int cuModuleGetFunction(Handle* function, Handle handle, const char* name) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  auto module = find(state().modules, handle);
  if (!module) return INVALID_HANDLE;
  if (module->functions.count(name)) {
    *function = module->functions[name];
    return SUCCESS;
  }
  auto made = std::make_shared<Function>();
  std::string suffix = name;
  auto describe = reinterpret_cast<int (*)(size_t*, size_t*, int)>(
      dlsym(module->library, ("double_parameters_" + suffix).c_str()));
  made->run = reinterpret_cast<void (*)(const unsigned*, const unsigned*, void**)>(
      dlsym(module->library, ("double_run_" + suffix).c_str()));
  if (!describe || !made->run) return NOT_FOUND;
  size_t sizes[64], alignments[64];
  int count = describe(sizes, alignments, 64);
  made->sizes.assign(sizes, sizes + count);
  made->alignments.assign(alignments, alignments + count);
  made->module = module;
  *function = module->functions[name] = kept(state().functions, made);
  return SUCCESS;
}

EXPORT int cuModuleUnload(Handle handle) {
  int error = enter(__func__, CONTEXT);
  if (refused(error)) return error;
  Lock lock(state().mutex);
  auto module = find(state().modules, handle);
  if (!module) return error ? error : INVALID_HANDLE;
  module->live = false;
  for (auto& entry : module->functions) state().functions.erase(entry.second);
  state().modules.erase(handle);
  return error;
}

// Deprecated, and of no use beside cuLaunchKernel; pycuda calls it before that all the same.
EXPORT int cuFuncSetBlockShape(Handle handle, int x, int y, int z) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  if (!find(state().functions, handle)) return INVALID_HANDLE;
  return x < 1 || y < 1 || z < 1 || x * y * z > 1024 ? INVALID_VALUE : SUCCESS;
}

EXPORT int cuLaunchKernel(Handle handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                          unsigned by, unsigned bz, unsigned shared, Handle stream_handle,
                          void** parameters, void** extra) {
  ENTER(CONTEXT);
  (void)shared;
  Lock lock(state().mutex);
  auto function = find(state().functions, handle);
  if (!function) return INVALID_HANDLE;
  if (!gx || !gy || !gz || !bx || !by || !bz) return INVALID_VALUE;
  if (gx > 0x7FFFFFFFu || gy > 65535 || gz > 65535) return INVALID_VALUE;
  if (bx > 1024 || by > 1024 || bz > 64 || bx * by * bz > 1024) return INVALID_VALUE;
  const char* packed = nullptr;
  for (size_t i = 0; extra && extra[i]; i += 2)
    if (extra[i] == reinterpret_cast<void*>(1)) packed = static_cast<const char*>(extra[i + 1]);
  if (!function->sizes.empty() && !packed == !parameters) return INVALID_VALUE;
  auto values = std::make_shared<std::vector<std::vector<char>>>();
  size_t offset = 0;
  for (size_t i = 0; i < function->sizes.size(); i++) {
    size_t size = function->sizes[i], alignment = function->alignments[i];
    offset = (offset + alignment - 1) / alignment * alignment;
    const char* from = packed ? packed + offset : static_cast<const char*>(parameters[i]);
    values->emplace_back(from, from + size);
    offset += size;
  }
  return queue_locked(stream_of(stream_handle), [=] {
    if (!function->module->live) return static_cast<int>(LAUNCH_FAILED);
    const unsigned grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
    std::vector<void*> pointers;
    for (auto& value : *values) pointers.push_back(value.data());
    function->run(grid, block, pointers.data());
    return static_cast<int>(SUCCESS);
  });
}

// ----------------------------------------------------------------- what only an import asks for

// pycuda is linked with these; facealign calls none, and whoever does is told so.
#define X(name) EXPORT int name() { int error = enter(__func__, NOTHING); return error ? error : NOT_SUPPORTED; }
X(cuArray3DCreate_v2) X(cuArray3DGetDescriptor_v2) X(cuArrayCreate_v2) X(cuArrayDestroy)
X(cuArrayGetDescriptor_v2) X(cuCtxAttach) X(cuCtxCreate_v4) X(cuCtxDetach)
X(cuCtxDisablePeerAccess) X(cuCtxEnablePeerAccess) X(cuCtxGetCacheConfig) X(cuCtxGetLimit)
X(cuCtxGetSharedMemConfig) X(cuCtxSetCacheConfig) X(cuCtxSetLimit) X(cuCtxSetSharedMemConfig)
X(cuDeviceCanAccessPeer) X(cuDeviceGetByPCIBusId) X(cuDeviceGetPCIBusId) X(cuFuncGetAttribute)
X(cuFuncSetAttribute) X(cuFuncSetCacheConfig) X(cuFuncSetSharedSize)
X(cuIpcCloseMemHandle) X(cuIpcGetEventHandle) X(cuIpcGetMemHandle) X(cuIpcOpenEventHandle)
X(cuIpcOpenMemHandle_v2) X(cuLaunch) X(cuLaunchGrid) X(cuLaunchGridAsync) X(cuLinkAddData_v2)
X(cuLinkAddFile_v2) X(cuLinkComplete) X(cuLinkCreate_v2) X(cuLinkDestroy) X(cuMemAllocManaged)
X(cuMemAllocPitch_v2) X(cuMemGetAddressRange_v2) X(cuMemHostGetFlags) X(cuMemHostRegister_v2)
X(cuMemHostUnregister) X(cuMemcpy2DAsync_v2) X(cuMemcpy2DUnaligned_v2) X(cuMemcpy2D_v2)
X(cuMemcpy3DAsync_v2) X(cuMemcpy3DPeer) X(cuMemcpy3DPeerAsync) X(cuMemcpy3D_v2)
X(cuMemcpyAtoA_v2) X(cuMemcpyAtoD_v2) X(cuMemcpyAtoH_v2) X(cuMemcpyDtoA_v2)
X(cuMemcpyDtoDAsync_v2) X(cuMemcpyDtoD_v2) X(cuMemcpyDtoH_v2) X(cuMemcpyHtoA_v2)
X(cuMemcpyHtoD_v2) X(cuMemcpyPeer) X(cuMemcpyPeerAsync) X(cuMemsetD16Async) X(cuMemsetD16_v2)
X(cuMemsetD2D16Async) X(cuMemsetD2D16_v2) X(cuMemsetD2D32Async) X(cuMemsetD2D32_v2)
X(cuMemsetD2D8Async) X(cuMemsetD2D8_v2) X(cuMemsetD32Async) X(cuMemsetD32_v2) X(cuMemsetD8_v2)
X(cuModuleGetGlobal_v2) X(cuModuleGetSurfRef) X(cuModuleGetTexRef) X(cuModuleLoad)
X(cuParamSetSize) X(cuParamSetTexRef) X(cuParamSetf) X(cuParamSeti) X(cuParamSetv)
X(cuProfilerInitialize) X(cuProfilerStart) X(cuProfilerStop) X(cuStreamAttachMemAsync)
X(cuSurfRefGetArray) X(cuSurfRefSetArray) X(cuTexRefCreate) X(cuTexRefDestroy)
X(cuTexRefGetAddressMode) X(cuTexRefGetAddress_v2) X(cuTexRefGetArray) X(cuTexRefGetFilterMode)
X(cuTexRefGetFlags) X(cuTexRefGetFormat) X(cuTexRefSetAddress2D_v3) X(cuTexRefSetAddressMode)
X(cuTexRefSetAddress_v2) X(cuTexRefSetArray) X(cuTexRefSetFilterMode) X(cuTexRefSetFlags)
X(cuTexRefSetFormat)
#undef X

// ---------------------------------------------------------------------------------- control by tests

// Queues a callback on a stream as a kernel would be: captured, replayed, run when someone waits.
// What it answers, if not 0, is the error of the stream from then on.
EXPORT int double_enqueue(Handle stream, int (*callback)(void*), void* user) {
  ENTER(CONTEXT);
  Lock lock(state().mutex);
  return queue_locked(stream_of(stream), [=] { return callback(user); });
}

// Lets the n-th call of a function from now on fail; 1 is the next.
EXPORT void double_fail_at(const char* function, long nth, int error) {
  Lock lock(state().mutex);
  state().failures[function].push_back({nth, error});
}

EXPORT long double_calls(const char* function) {
  Lock lock(state().mutex);
  auto found = state().calls.find(function);
  return found == state().calls.end() ? 0 : found->second;
}

// Writes `name count` lines of every function that was called; returns the length needed.
EXPORT size_t double_all_calls(char* text, size_t size) {
  Lock lock(state().mutex);
  std::string all;
  for (auto& [name, count] : state().calls) all += name + " " + std::to_string(count) + "\n";
  if (text && size) std::snprintf(text, size, "%s", all.c_str());
  return all.size() + 1;
}

EXPORT long double_live(const char* kind) {
  Lock lock(state().mutex);
  State& s = state();
  std::string what = kind;
  long contexts_held = 0;
  for (auto& entry : s.retained) contexts_held += entry.second;
  if (what == "context") return contexts_held;
  if (what == "stream") return s.streams.size();
  if (what == "event") return s.events.size();
  if (what == "module") return s.modules.size();
  if (what == "graph") return s.graphs.size();
  if (what == "graph_exec") return s.executables.size();
  if (what == "device_memory") return s.device.size();
  if (what == "host_memory") return s.host.size();
  return -1;
}

// Counters since the last reset, and the state of the calling thread.
EXPORT long double_counter(const char* name) {
  Lock lock(state().mutex);
  State& s = state();
  std::string what = name;
  if (what == "allocations") return s.allocations;
  if (what == "live_bytes") return s.live_bytes;
  if (what == "peak_bytes") return s.peak_bytes;
  if (what == "orphans") return s.orphans;
  if (what == "pageable_copies") return s.pageable;
  if (what == "blocking_streams") return s.blocking_streams;
  if (what == "unportable") return s.unportable;
  if (what == "current_contexts") return current.size();
  return -1;
}

// How much of a stream's work has not run yet.
EXPORT long double_pending(Handle stream) {
  Lock lock(state().mutex);
  auto found = stream_of(stream);
  return found ? static_cast<long>(found->queue.size()) : -1;
}

// Whether a piece of memory is the device's, or mapped, and wholly inside one allocation.
EXPORT int double_on_device(Address address, size_t size) {
  Lock lock(state().mutex);
  return on_device(address, size);
}

EXPORT void double_set(const char* key, long value) {
  Lock lock(state().mutex);
  state().settings[key] = value;
}

// Forgets everything, what is alive too.
EXPORT void double_reset() {
  Lock lock(state().mutex);
  State& s = state();
  s.sticky = SUCCESS;
  s.calls.clear();
  s.settings.clear();
  s.failures.clear();
  s.allocations = s.orphans = s.pageable = s.blocking_streams = s.unportable = 0;
  s.peak_bytes = s.live_bytes = 0;
  s.streams.clear();
  s.events.clear();
  s.modules.clear();
  s.functions.clear();
  s.graphs.clear();
  s.executables.clear();
  for (auto& entry : s.device) std::free(reinterpret_cast<void*>(entry.first));
  for (auto& entry : s.host) release_host(entry.first, entry.second);
  s.device.clear();
  s.host.clear();
  s.retained.clear();
  s.standard = std::make_shared<Stream>();
  current.clear();
}
