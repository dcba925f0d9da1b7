// Which commands are done item by item with the one before.
#include "backends/cpu/call.h"
#include "tests/catch.h"

using namespace linnet;
using namespace linnet::cpu;

namespace {

fb::RefT arena(uint64_t offset, uint64_t size) {
  fb::RefT ref;
  ref.space = fb::Space::arena;
  ref.offset = offset, ref.size = size;
  return ref;
}

Call itemwise(std::vector<fb::RefT> args, Extent work) {
  return {
      .kernel = {"k", [](Emitter &) {}}, .args = std::move(args), .work = std::move(work), .itemwise = true};
}

const Extent kRows = Extent::symbol(0), kElements = Extent(768, {0});

Call norm() { return itemwise({arena(0, 100), arena(500, 10), arena(100, 100)}, kRows); }

} // namespace

TEST_CASE("a command that reads what the one before wrote, item by item, is done in turn with it") {
  CHECK(itemsInTurn(norm(), itemwise({arena(100, 100), arena(200, 50)}, kRows)) == 1);
  CHECK(itemsInTurn(norm(), itemwise({arena(100, 100), arena(200, 50)}, kElements)) == 768);
  CHECK(itemsInTurn(norm(), itemwise({arena(300, 100), arena(200, 50)}, kRows)) == 1); // reads something else
  const Call both = inTurn(norm(), itemwise({arena(100, 100), arena(200, 50)}, kElements), 768);
  CHECK(both.kernel.name == "k_then_768x_k");
  REQUIRE(both.args.size() == 5);
  CHECK(both.args[3].offset == 100);
  CHECK(both.work == kRows);
  CHECK_FALSE(both.itemwise);
}

TEST_CASE("commands whose other items could meet are kept apart") {
  const auto apart = [](const Call &next) { return itemsInTurn(norm(), next) == 0; };
  CHECK(apart(itemwise({arena(100, 100), arena(50, 100)}, kRows)));                 // over what is read
  CHECK(apart(itemwise({arena(100, 100), arena(505, 50)}, kRows)));                 // over a second operand
  CHECK(apart(itemwise({arena(100, 100), arena(150, 100)}, kRows)));                // over what is written
  CHECK(apart(itemwise({arena(120, 80), arena(200, 50)}, kRows)));                  // other parts of it
  CHECK(apart(itemwise({arena(300, 10), arena(100, 100), arena(200, 50)}, kRows))); // all of it, for all
  CHECK(apart(itemwise({arena(100, 100), arena(200, 50)}, Extent::symbol(1))));     // other items
  CHECK(itemsInTurn(itemwise({arena(0, 100), arena(100, 100)}, kElements),
                    itemwise({arena(100, 100), arena(200, 50)}, kRows)) == 0); // fewer items
  Call next = itemwise({arena(100, 100), arena(200, 50)}, kRows);
  next.itemwise = false;
  CHECK(apart(next));
}

TEST_CASE("nothing that reads a scattered result is done in turn with what scatters it") {
  Call append = itemwise({arena(0, 100), arena(100, 100)}, kRows);
  append.scatters = true;
  CHECK(itemsInTurn(append, itemwise({arena(100, 100), arena(200, 50)}, kElements)) == 0);
  CHECK(itemsInTurn(append, itemwise({arena(300, 100), arena(200, 50)}, kRows)) == 1); // reads something else
  append.args = {arena(100, 100), arena(200, 100)};
  CHECK(itemsInTurn(norm(), append) == 1); // the scattering one may be the second
}
