module tidemark.dev/tests/cluster/tools/images

go 1.24.0
