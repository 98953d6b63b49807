//go:build tools

// Package tools keeps the command that tests/cluster/binaries builds in go.mod through `go mod tidy`.
package tools

import (
	_ "github.com/distribution/distribution/v3/cmd/registry"
)
