// tidemark-webhook: everything wired together.
#pragma once

namespace tidemark::webhook {

// main() of the program; a binary of several names calls it too. Returns the exit code: 0 done,
// 1 could not serve, 2 wrong usage or configuration.
int run(int argc, char** argv);

}  // namespace tidemark::webhook
