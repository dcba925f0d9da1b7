// The graph of the decoders that decoder.h describes.
#pragma once
#include "frontend/model/graph.h"

namespace linnet {

GraphParts decoderGraph(GraphBuilder &builder);

} // namespace linnet
