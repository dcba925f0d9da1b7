// LINNET_API marks the symbols that liblinnet_runtime.so exports.
#pragma once
#if defined(__GNUC__)
#define LINNET_API __attribute__((visibility("default")))
#else
#define LINNET_API
#endif
