"""An operator's command lines: grpcurl (reflection v1alpha only) and buf curl (reflection v1).

Both take and print JSON, so one conversation serves both.
"""

import json
import subprocess
import sys

SERVICE = "token.v1.TokenService"

tool, address = sys.argv[1:]


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if tool == "grpcurl":
    grpcurl = ["grpcurl", "-plaintext", "-max-time", "10"]

    def services():
        return run(*grpcurl, address, "list")

    def call(method, request):
        return run(*grpcurl, "-d", request, address, f"{SERVICE}/{method}")

else:
    buf_curl = ["buf", "curl", "--protocol", "grpc", "--timeout", "10s"]

    def services():
        return run(*buf_curl, "--list-services", f"http://{address}")

    def call(method, request):
        return run(*buf_curl, "--data", request, f"http://{address}/{SERVICE}/{method}")


def expect_available(expected, method, **request):
    answer = json.loads(call(method, json.dumps({"account_id": f"client-{tool}", **request})))
    assert answer["balance"]["available"] == expected, answer


assert SERVICE in services().split(), services()
# JSON has no int64: amounts come and go as strings.
kind = "GRANT_KIND_PURCHASED"
expect_available("100", "Credit", idempotency_key="credit", amount="100", kind=kind)
expect_available("70", "Debit", idempotency_key="debit", amount="30")
expect_available("70", "GetBalance")
