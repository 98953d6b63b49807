#include "base/heaps.h"

#include <malloc.h>

namespace tidemark {

void bound_heaps() {
  constexpr int kHeaps = 2;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before any other thread (heaps.h)
  mallopt(M_ARENA_MAX, kHeaps);
}

}  // namespace tidemark
