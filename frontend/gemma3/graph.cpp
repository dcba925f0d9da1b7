#include "frontend/model/decoder_graph.h"

namespace linnet::gemma3 {

GraphParts graph(GraphBuilder &builder) { return decoderGraph(builder); }

} // namespace linnet::gemma3
