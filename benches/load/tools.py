"""Installs what the baselines are made of, at pinned versions, under target/; only the first run fetches it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[1] / "baselines"
CACHE = Path(os.environ.get("CARGO_TARGET_DIR", "target")).resolve() / "bench"


def python_with_hl7() -> Path:
    """A Python that has python-hl7 and asyncpg."""
    home = named_after(HERE / "requirements.txt")
    if not home.exists():
        unfinished = home.with_name(f"{home.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        run("python3", "-m", "venv", unfinished)
        install = (unfinished / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*install, "--require-hashes", "-r", HERE / "requirements.txt")
        unfinished.rename(home)
    return home / "bin/python"


def node_modules() -> Path:
    """NODE_PATH with @medplum/hl7 and pg."""
    home = named_after(HERE / "package-lock.json")
    if not home.exists():
        unfinished = home.with_name(f"{home.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, unfinished)
        run("npm", "ci", "--prefix", unfinished, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        unfinished.rename(home)
    return home / "node_modules"


def versions() -> list[str]:
    """What the baselines are made of."""
    packages = json.loads((HERE / "package.json").read_text())["dependencies"]
    lines = (HERE / "requirements.txt").read_text().splitlines()
    python = [line.split()[0].replace("==", " ") for line in lines if "==" in line]
    node = [f"{name} {version}" for name, version in packages.items()]
    return [f"{', '.join(node)} on Node {output('node')}", f"{', '.join(python)} on {output('python3')}"]


def output(interpreter: str) -> str:
    return subprocess.run([interpreter, "--version"], check=True, capture_output=True, text=True).stdout.strip()


def named_after(list_of_packages: Path) -> Path:
    """A directory of its own for every version of the list, so that an old one is never taken for the new one."""
    return CACHE / f"{list_of_packages.stem}-{hashlib.sha256(list_of_packages.read_bytes()).hexdigest()[:12]}"


def run(*command: object) -> None:
    # Only tables go to standard output.
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
