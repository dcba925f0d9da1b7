// Adds the family to the compiler library when this one is loaded with it. A family in frontend/ is listed in
// frontend/CMakeLists.txt instead.
#include "frontend/model/graph.h"
#include "tests/families/bag/family.h"

static const bool registered = (linnet::registerFamily(linnet::bag::family(), linnet::bag::graph), true);
