//go:build tools

// Package tools keeps the commands that tests/cluster/binaries builds in go.mod through `go mod tidy`.
package tools

import (
	_ "github.com/cert-manager/cert-manager/cmd/cainjector"
	_ "github.com/cert-manager/cert-manager/cmd/controller"
)
