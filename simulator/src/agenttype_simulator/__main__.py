"""`python -m agenttype_simulator` serves until it is ended by a signal."""

import sys

from agenttype_simulator import options, server

if __name__ == "__main__":
    server.serve(options.parse(sys.argv[1:]))
