#include "sweeper/program.h"

int main(int argc, char** argv) { return tidemark::sweeper::run(argc, argv); }
