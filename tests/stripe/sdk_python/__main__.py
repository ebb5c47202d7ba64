"""Drives a simulator with Stripe's own Python SDK.

usage: sdk_python JUDGE SIMULATOR [NAME…]

JUDGE is the address of spec_proxy in front of SIMULATOR. A NAME picks subjects (`refunds`) or single tests
by a part of their name.
"""

import importlib
import pathlib
import sys
import traceback

import harness

here = pathlib.Path(__file__).parent
subjects = sorted(file.stem for file in here.glob("[a-z]*.py") if file.stem != "harness")
wanted = sys.argv[3:]
failed = 0
for subject in subjects:
    module = importlib.import_module(subject)
    for name, test in vars(module).items():
        if not callable(test) or getattr(test, "__module__", "") != subject or name.startswith("_"):
            continue
        if wanted and not any(part == subject or part in name for part in wanted):
            continue
        try:
            harness.start_over()
            test()
            print(f"python {subject}: {name} ... ok", flush=True)
        except Exception:
            failed += 1
            print(f"python {subject}: {name} ... FAILED", flush=True)
            traceback.print_exc()
sys.exit(failed > 0)
