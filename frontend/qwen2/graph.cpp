#include "frontend/model/decoder_graph.h"

namespace linnet::qwen2 {

GraphParts graph(GraphBuilder &builder) { return decoderGraph(builder); }

} // namespace linnet::qwen2
