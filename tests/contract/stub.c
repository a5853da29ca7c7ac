/* Lets NVIDIA's Python bindings be imported where there is no TensorRT: built under the names of
 * libnvinfer, libnvonnxparser and libnvinfer_plugin, it offers what the bindings are linked against.
 * No factory makes anything, so nothing but the API itself can be looked at. */
#include <stdbool.h>
#include <stddef.h>

#define NOTHING(name)                                                                              \
    __attribute__((visibility("default"))) void *name() { return NULL; }

NOTHING(createInferBuilder_INTERNAL)
NOTHING(createInferRefitter_INTERNAL)
NOTHING(createInferRuntime_INTERNAL)
NOTHING(createNvOnnxParser_INTERNAL)
NOTHING(createNvOnnxParserRefitter_INTERNAL)
NOTHING(getBuilderPluginRegistry)
NOTHING(getPluginRegistry)

__attribute__((visibility("default"))) int getInferLibVersion(void) { return 0; }
__attribute__((visibility("default"))) int getNvOnnxParserVersion(void) { return 0; }
__attribute__((visibility("default"))) bool initLibNvInferPlugins(void *logger, const char *space) {
    (void)logger;
    (void)space;
    return false;
}
