#!/usr/bin/env bash
# Make the kind cluster that the Tiltfile allows; a second run finds it and changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

name=agenttype
say() { echo "setup-kind: $*" >&2; }

if ! command -v kubectl >/dev/null && command -v go >/dev/null; then
  say "building kubectl from the versions in cluster/go.mod"
  (cd cluster && CGO_ENABLED=0 go build -o "$(go env GOPATH)/bin/kubectl" k8s.io/kubernetes/cmd/kubectl)
fi
for tool in docker kind kubectl; do
  command -v "$tool" >/dev/null || { say "$tool is missing; install it and run this again"; exit 1; }
done
docker info >/dev/null 2>&1 || { say "Docker does not answer; start it and run this again"; exit 1; }

if kind get clusters 2>/dev/null | grep --quiet --line-regexp "$name"; then
  say "cluster $name is there"
else
  kind create cluster --name "$name" --wait 5m
fi
kubectl --context "kind-$name" wait --for=condition=Ready node --all --timeout=5m
command -v tilt >/dev/null || say "tilt is missing; install it as its site says, then run: tilt up"
