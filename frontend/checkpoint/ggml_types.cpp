#include "frontend/checkpoint/ggml_types.h"
#include "support/error.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace linnet {
namespace {

/// Types that Linnet reads.
constexpr struct {
  uint32_t number;
  StorageType type;
} kRead[] = {{0, StorageType::f32},   {1, StorageType::f16},   {30, StorageType::bf16},
             {8, StorageType::q8_0},  {2, StorageType::q4_0},  {3, StorageType::q4_1},
             {6, StorageType::q5_0},  {7, StorageType::q5_1},  {12, StorageType::q4_k},
             {13, StorageType::q5_k}, {14, StorageType::q6_k}, {20, StorageType::iq4_nl}};

/// All other types of ggml.h, including those that GGML has removed. Errors name them.
constexpr struct {
  uint32_t number;
  const char *name;
} kOthers[] = {{4, "Q4_2"},        {5, "Q4_3"},        {9, "Q8_1"},    {10, "Q2_K"},    {11, "Q3_K"},
               {15, "Q8_K"},       {16, "IQ2_XXS"},    {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
               {21, "IQ3_S"},      {22, "IQ2_S"},      {23, "IQ4_XS"}, {24, "I8"},      {25, "I16"},
               {26, "I32"},        {27, "I64"},        {28, "F64"},    {29, "IQ1_M"},   {31, "Q4_0_4_4"},
               {32, "Q4_0_4_8"},   {33, "Q4_0_8_8"},   {34, "TQ1_0"},  {35, "TQ2_0"},   {36, "IQ4_NL_4_4"},
               {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}, {39, "MXFP4"},  {40, "NVFP4"},   {41, "Q1_0"}};

} // namespace

std::optional<StorageType> storageTypeOf(uint32_t ggml_type) {
  for (auto [number, type] : kRead)
    if (number == ggml_type) return type;
  return std::nullopt;
}

std::string ggmlTypeName(uint32_t ggml_type) {
  if (auto type = storageTypeOf(ggml_type)) return storageTypeName(*type);
  for (auto [number, name] : kOthers)
    if (number == ggml_type) return name;
  return fmt::format("number {}", ggml_type);
}

uint32_t ggmlTypeOf(StorageType type) {
  auto found =
      std::find_if(std::begin(kRead), std::end(kRead), [&](auto &each) { return each.type == type; });
  return found == std::end(kRead) ? kRead[0].number : found->number;
}

std::string readableGgmlTypes() {
  std::vector<const char *> names;
  for (auto [number, type] : kRead) names.push_back(storageTypeName(type));
  return fmt::format("{}", fmt::join(names, ", "));
}

} // namespace linnet
