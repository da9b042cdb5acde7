//go:build tools

// Package tools pins coredns in a module of its own: its dependencies disagree with those of Kubernetes.
package tools

import _ "github.com/coredns/coredns"
