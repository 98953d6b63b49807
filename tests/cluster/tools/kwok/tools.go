//go:build tools

// Package tools keeps the command that tests/cluster/binaries builds in go.mod through `go mod tidy`.
package tools

import (
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
