#include "backends/common/pack.h"

#include "support/error.h"
#include "support/half.h"

#include <algorithm>
#include <cstring>

namespace linnet {
namespace {

/// Packs columns [n0, n0 + columns) of a plain matrix into one panel. Element (k, c) is at block[k * row_stride + c *
/// column_stride].
void packOne(const PackedLayout &layout, int64_t k, int64_t columns, const float *block, int64_t row_stride,
             int64_t column_stride, float *panel) {
  const bool dense = layout.interleave == 1 && column_stride == 1;
  if (columns < layout.n_block || k % layout.k_block) std::fill_n(panel, layout.panelSize(k), 0.0f);
  for (int64_t kk = 0; kk < k; ++kk) {
    float *to = panel + layout.offset(kk, 0, k);
    const float *from = block + kk * row_stride;
    if (dense)
      std::copy_n(from, columns, to);
    else
      for (int64_t c = 0; c < columns; ++c) to[c * layout.interleave] = from[c * column_stride];
  }
}

/// Several panels at once, so that each read of a row of the plain matrix is long.
struct Group {
  const PackedLayout &layout;
  int64_t k, n;
  const ReadElements &read;
  std::vector<float> plain;

  int64_t columnsAt(int64_t n0, int64_t panels) const { return std::min(n - n0, panels * layout.n_block); }

  Result<void> readRows(int64_t n0, int64_t columns) {
    if (layout.transposed) return read(n0 * k, std::span(plain).first(columns * k));
    const Error *failure = nullptr;
    Error first;
#pragma omp parallel for schedule(static)
    for (int64_t kk = 0; kk < k; ++kk) {
      auto result = read(kk * n + n0, std::span(plain).subspan(kk * columns, columns));
      if (!result) {
#pragma omp critical
        first = result.error(), failure = &first;
      }
    }
    if (failure) return first;
    return {};
  }
};

} // namespace

std::string PackedLayout::text() const {
  std::string text = fmt::format("panel<{}x{}", k_block, n_block);
  if (interleave != 1) text += fmt::format(", interleave = {}", interleave);
  return text + (transposed ? ", transposed>" : ">");
}

int64_t bytesOf(PackedType type, int64_t elements) {
  switch (type) {
  case PackedType::f32:
    return 4 * elements;
  case PackedType::f16:
  case PackedType::bf16:
    return 2 * elements;
  case PackedType::i8:
    return elements;
  case PackedType::i4:
    return (elements + 1) / 2;
  }
  return 0;
}

void convert(std::span<const float> from, PackedType type, std::byte *to) {
  if (type == PackedType::f32) {
    std::memcpy(to, from.data(), from.size_bytes());
    return;
  }
  if (type == PackedType::i8) {
    for (size_t i = 0; i < from.size(); ++i) to[i] = std::byte(uint8_t(int8_t(from[i])));
    return;
  }
  if (type == PackedType::i4) {
    for (size_t i = 0; i < from.size(); i += 2) {
      const int low = int(from[i]), high = i + 1 < from.size() ? int(from[i + 1]) : 0;
      to[i / 2] = std::byte(uint8_t((low & 15) | (high & 15) << 4));
    }
    return;
  }
  for (size_t i = 0; i < from.size(); ++i) {
    const uint16_t value = type == PackedType::f16 ? toHalf(from[i]) : toBfloat(from[i]);
    std::memcpy(to + 2 * i, &value, 2);
  }
}

void convertBack(PackedType type, const std::byte *from, std::span<float> to) {
  if (type == PackedType::f32) {
    std::memcpy(to.data(), from, to.size_bytes());
    return;
  }
  if (type == PackedType::i8) {
    for (size_t i = 0; i < to.size(); ++i) to[i] = float(int8_t(from[i]));
    return;
  }
  if (type == PackedType::i4) {
    for (size_t i = 0; i < to.size(); ++i) {
      const int nibble = int(from[i / 2]) >> (i % 2 ? 4 : 0) & 15;
      to[i] = float(nibble < 8 ? nibble : nibble - 16);
    }
    return;
  }
  for (size_t i = 0; i < to.size(); ++i) {
    uint16_t value;
    std::memcpy(&value, from + 2 * i, 2);
    to[i] = type == PackedType::f16 ? fromHalf(value) : fromBfloat(value);
  }
}

Result<void> packPanels(const PackedLayout &layout, int64_t k, int64_t n, PackedType type,
                        const ReadElements &read, const TakeBytes &take) {
  if (k < 1 || n < 1 || layout.k_block < 1 || layout.n_block < 1 || layout.interleave < 1 ||
      layout.k_block % layout.interleave || (type == PackedType::i4 && layout.panelSize(1) % 2))
    return errorf("packing: expected a matrix and blocks of at least 1 element, found {}x{} in {}", k, n,
                  layout.text());
  constexpr int64_t kHeldElements = 1 << 20;
  const int64_t panel = layout.panelSize(k), total = layout.panels(n);
  const int64_t at_once = std::clamp<int64_t>(kHeldElements / panel, 1, total);
  Group group{layout, k, n, read, std::vector<float>(at_once * layout.n_block * k)};
  std::vector<float> packed(at_once * panel);
  const int64_t panel_bytes = bytesOf(type, panel);
  std::vector<std::byte> bytes(type == PackedType::f32 ? 0 : at_once * panel_bytes);
  for (int64_t p0 = 0; p0 < total; p0 += at_once) {
    const int64_t count = std::min(at_once, total - p0), n0 = p0 * layout.n_block,
                  columns = group.columnsAt(n0, count);
    LINNET_TRY(group.readRows(n0, columns));
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < count; ++p) {
      const int64_t c0 = p * layout.n_block, width = std::min(layout.n_block, columns - c0);
      const float *block = group.plain.data() + (layout.transposed ? c0 * k : c0);
      float *to = packed.data() + p * panel;
      packOne(layout, k, width, block, layout.transposed ? 1 : columns, layout.transposed ? k : 1, to);
      if (type != PackedType::f32) convert({to, size_t(panel)}, type, bytes.data() + p * panel_bytes);
    }
    const auto done = std::span<const float>(packed).first(count * panel);
    LINNET_TRY(take(type == PackedType::f32 ? std::as_bytes(done)
                                            : std::span<const std::byte>(bytes).first(count * panel_bytes)));
  }
  return {};
}

std::vector<float> unpackPanels(const PackedLayout &layout, int64_t k, int64_t n, PackedType type,
                                std::span<const std::byte> packed) {
  std::vector<float> values(layout.elements(k, n)), plain(k * n);
  convertBack(type, packed.data(), values);
  for (int64_t kk = 0; kk < k; ++kk)
    for (int64_t c = 0; c < n; ++c)
      plain[layout.transposed ? c * k + kk : kk * n + c] = values[layout.offset(kk, c, k)];
  return plain;
}

} // namespace linnet
