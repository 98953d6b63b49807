// The program tidemark-sweeper, also known as kubectl-tidemark.
//
// Purpose: wires configuration, API client, resolver and commands; nothing else. The multi-call
// binary (tidemark/) calls it as well. Returns the exit code of design section 6.
#pragma once

namespace tidemark::sweeper {

int run(int argc, char** argv);

}  // namespace tidemark::sweeper
