// Includes all public headers. In C, the C interface alone.
//
// Threads. Functions outside classes and static functions may be called from any thread. Each class states its rule: a
// thread-safe one takes calls of several threads at the same time, all others take one thread at a time. No thread may
// use an object while another one destroys, moves or assigns it.
#pragma once
#include "linnet/c.h"
#ifdef __cplusplus
#include "linnet/batch.h"
#include "linnet/device_kind.h"
#include "linnet/graph.h"
#include "linnet/model.h"
#include "linnet/profile.h"
#include "linnet/session.h"
#include "linnet/tokenizer.h"
#include "linnet/version.h"
#endif
