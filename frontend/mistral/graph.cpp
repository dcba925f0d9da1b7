#include "frontend/model/decoder_graph.h"

namespace linnet::mistral {

GraphParts graph(GraphBuilder &builder) { return decoderGraph(builder); }

} // namespace linnet::mistral
