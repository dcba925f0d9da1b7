// Includes all public headers.
#pragma once
#include "linnet/batch.h"
#include "linnet/device_kind.h"
#include "linnet/graph.h"
#include "linnet/model.h"
#include "linnet/profile.h"
#include "linnet/session.h"
#include "linnet/tokenizer.h"
#include "linnet/version.h"
