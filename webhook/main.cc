#include "webhook/program.h"

int main(int argc, char** argv) { return tidemark::webhook::run(argc, argv); }
