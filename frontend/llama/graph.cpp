#include "frontend/model/decoder_graph.h"

namespace linnet::llama {

GraphParts graph(GraphBuilder &builder) { return decoderGraph(builder); }

} // namespace linnet::llama
