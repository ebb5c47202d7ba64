"""Every grpcurl line of a document, run in order as it stands but for the address.

usage: readme.py ADDRESS DOCUMENT [EXPECTED]    (EXPECTED must be in the output of the last line)
"""

import subprocess
import sys

address, document, *expected = sys.argv[1:]
with open(document) as text:
    lines = [line for line in text.read().splitlines() if line.startswith("grpcurl ")]
assert lines, f"{document} has no grpcurl lines"
output = ""
for line in lines:
    command = line.replace("127.0.0.1:50051", address)
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True, timeout=10)
    assert done.returncode == 0, f"{document}: {line}"
    output = done.stdout
assert all(words in output for words in expected), output
