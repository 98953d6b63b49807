module tidemark.dev/tests/cluster/tools/argo-rollouts

go 1.24.0

require github.com/argoproj/argo-rollouts v1.8.3
