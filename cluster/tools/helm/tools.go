//go:build tools

// Package tools pins helm in a module of its own: its dependencies disagree with those of Kubernetes.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
