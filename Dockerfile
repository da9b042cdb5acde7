# The operator, the sidecar or the gate: `docker build --build-arg ROOM=sidecar .`, from the repository's root.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
# Build behind a proxy with a CA of its own: mount its bundle at /etc/ssl/certs and set this to 1.
ARG UV_SYSTEM_CERTS=
ENV UV_PYTHON_DOWNLOADS=never UV_PYTHON=3.11 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=/app/.venv
RUN command -v uv || pip install --no-cache-dir uv==0.13.8
WORKDIR /src
# uv wants to see every room of the workspace, even those that are not installed.
COPY pyproject.toml uv.lock README.md ./
COPY cli/pyproject.toml cli/
COPY crds/pyproject.toml crds/
COPY gate/pyproject.toml gate/
COPY lib/authn/pyproject.toml lib/authn/
COPY lib/bus/pyproject.toml lib/bus/
COPY lib/proxy/pyproject.toml lib/proxy/
COPY lib/runtime/pyproject.toml lib/runtime/
COPY operator/pyproject.toml operator/
COPY sidecar/pyproject.toml sidecar/
COPY simulator/pyproject.toml simulator/
COPY wrapper/pyproject.toml wrapper/
# What changes rarely first: dependencies, then our own rooms.
ARG ROOM
RUN uv sync --frozen --no-dev --no-editable --no-install-workspace --package agenttype-${ROOM}
COPY lib lib
COPY crds/src crds/src
COPY ${ROOM}/src ${ROOM}/src
RUN uv sync --frozen --no-dev --no-editable --package agenttype-${ROOM} \
 && ln -s agenttype-${ROOM} /app/.venv/bin/program

FROM ${BASE}
COPY --from=build /app/.venv /app/.venv
USER 64995:64995
ENTRYPOINT ["/app/.venv/bin/program"]
