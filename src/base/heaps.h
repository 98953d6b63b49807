// bound_heaps: how many heaps a program's threads share.
//
// Purpose: glibc gives threads up to eight heaps a processor, and each keeps what its greatest work
// once needed. Two are enough for what a handful of processors do at the same time. Thread-safety:
// called once, first thing in main, before any other thread.
#pragma once

namespace tidemark {

void bound_heaps();

}  // namespace tidemark
