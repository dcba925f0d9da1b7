#include "backends/vulkan/shader.h"

namespace linnet::vulkan {

fb::ShaderT shaderOf(const Kernel &kernel) {
  fb::ShaderT shader;
  shader.name = kernel.name;
  shader.bindings = kernel.bindings;
  shader.push_words = kernel.push_words;
  shader.local_x = kernel.local_size[0], shader.local_y = kernel.local_size[1];
  shader.local_z = kernel.local_size[2];
  shader.shared_bytes = kernel.shared_bytes;
  shader.features = kernel.features;
  shader.texels = kernel.texels;
  shader.subgroup_min = kernel.subgroups.least, shader.subgroup_max = kernel.subgroups.most;
  for (const spirv::Loop &loop : kernel.loops)
    shader.loops.emplace_back(loop.in, loop.step, loop.most.number, static_cast<fb::LoopBy>(loop.most.by),
                              loop.inner);
  return shader;
}

} // namespace linnet::vulkan
