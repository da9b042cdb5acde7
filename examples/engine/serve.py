"""Start the prepared engine in the foreground, with its flags and environment and whatever else is given.

python3 examples/engine/serve.py --host 127.0.0.1 --port 8000
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    prepare = Path(__file__).with_name("prepare.py")
    parts = json.loads(subprocess.check_output([sys.executable, str(prepare), "--json"]))
    command = [parts["python"], "-m", parts["module"], *parts["args"], *sys.argv[1:]]
    os.execve(command[0], command, {**os.environ, **parts["env"]})
