// Includes all public headers. In C, the C interface alone.
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
