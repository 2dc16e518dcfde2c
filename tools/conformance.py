#!/usr/bin/env python3
"""Compares what slipway builds with what BuildKit built: tools/conformance.py DIRECTORY [OPTION OF run.py]...

DIRECTORY holds the recorded builds with their runner, `run.py`. Every case must have the same verdict and the same files
and configuration; nearly all must be the same to the letter. SLIPWAY_BIN names the program, the released one by default.
"""

import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

# Cases that may differ, with the reason.
DIFFERENT = {
    "ci-pipeline-modified": "the file holds all variables of a step, and with them those of BuildKit's own tracer: "
    "OTEL_* name a socket that is BuildKit's alone, and would make traced programs complain here",
}
# The share of cases that must be the same to the letter.
EXACT = 0.97


def free_port():
    """A port below those that the kernel hands out, which a connection of others could be given meanwhile."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def with_links(testdata, copy):
    """Copies the files of the cases; where symbolic links were kept as text, they become links again."""
    shutil.copytree(testdata, copy, symlinks=True)
    for path in [path for path in copy.rglob("*") if path.is_file() and not path.is_symlink()]:
        if path.stat().st_size > 255:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        # A link's text has no line break; a file that holds its own name is a file.
        if text and "\n" not in text and "\0" not in text and text != path.name and (path.parent / text).exists():
            path.unlink()
            path.symlink_to(text)
    return copy


def start_registry(work):
    port = free_port()
    (work / "registry.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {work}/registry}}}}\n"
    )
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(["docker-registry", "serve", work / "registry.yml"], **silent)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.05)
    process.kill()
    sys.exit("docker-registry does not start")


def compare(cases, work, port, options):
    program = os.environ.get("SLIPWAY_BIN") or pathlib.Path(__file__).parents[1] / "target/release/slipway"
    build = f"{pathlib.Path(program).absolute()} build {{args}} -f {{dockerfile}} -t {{ref}} --push {{context}}"
    command = [sys.executable, cases / "run.py", "--registry", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{free_port()}"]
    command += ["--tier", "exact", "--builder", build, "--json", work / "results.json"]
    command += ["--testdata", with_links(cases / "testdata", work / "testdata"), *options]
    subprocess.run(command, env={**os.environ, "SLIPWAY_DATA_DIR": str(work / "data")}, check=False)
    return json.loads((work / "results.json").read_text())["results"]


def judge(results):
    """Says what is wrong with the results, and ends with the counts of a test runner."""
    scored = {name: result["tiers"] for name, result in results.items() if "tiers" in result}
    failed = [name for name, tiers in scored.items() if not tiers["rootfs"] and name not in DIFFERENT]
    for name in sorted(set(scored) & set(DIFFERENT)):
        print(f"differs, as it should: {name}: {DIFFERENT[name]}")
    exact = sum(tiers["exact"] for tiers in scored.values())
    if exact < EXACT * len(scored):
        print(f"only {exact} of {len(scored)} cases are the same to the letter")
        failed = failed or ["exact"]
    passed = sum(tiers["rootfs"] for tiers in scored.values())
    print(f"{passed} passed, {len(failed)} failed, {len(results) - passed - len(failed)} skipped")
    return 1 if failed or not scored else 0


def main():
    if len(sys.argv) < 2 or not (pathlib.Path(sys.argv[1]) / "run.py").is_file():
        sys.exit(f"no recorded builds in `{' '.join(sys.argv[1:2])}`: give the directory of run.py, or set CONFORMANCE")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        work = pathlib.Path(directory)
        registry, port = start_registry(work)
        try:
            results = compare(pathlib.Path(sys.argv[1]).absolute(), work, port, sys.argv[2:])
        finally:
            registry.terminate()
            registry.wait()
        return judge(results)


if __name__ == "__main__":
    sys.exit(main())
