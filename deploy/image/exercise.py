"""Builds the Dockerfile and tries the image, on Debian and as root, without a daemon of containers.

    python3 deploy/image/exercise.py [cpu | gpu] [--rehearse]

Buildah builds it. Debian 13 from debootstrap stands for debian:trixie-slim, so that no registry of
images is needed; it is somewhat larger. Prints the layers, what is large in them, where the
image's user can write, and with --rehearse what `tfx-gan rehearse` says inside it.
"""

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BASE = "docker.io/library/debian:trixie-slim"
MEGABYTE = 1e6
# What a process of the image's user may write; the rest are Debian's own places for anyone.
WRITABLE = {"/home/tfx-gan", "/tmp", "/var/tmp", "/run/lock"}
LARGEST = 12

# The host's kernel and network: enough for apt and pip, and allowed inside most containers.
os.environ["BUILDAH_ISOLATION"] = "chroot"


def run(*command: str) -> str:
    """Standard output of the command, whose errors are shown and fatal."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def install(*packages: str) -> None:
    """Installs Debian's packages whose programs, of the same names, are missing."""
    missing = [name for name in packages if shutil.which(name) is None]
    if missing:
        run("apt-get", "update")
        run("apt-get", "install", "--yes", "--no-install-recommends", *missing)


def make_base() -> None:
    """Debian 13 as an image, with the certificates that this machine trusts beyond Debian's."""
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.join(folder, "root")
        run("debootstrap", "--variant=minbase", "trixie", root)
        own = "/usr/local/share/ca-certificates"
        shutil.copytree(own, root + own, dirs_exist_ok=True)
        container = run("buildah", "from", "scratch")
        run("buildah", "add", "--quiet", container, root, "/")
        run("buildah", "commit", "--quiet", "--rm", container, BASE)


def build(target: str) -> str:
    """Builds a target of the Dockerfile; returns the image's name."""
    if not run("buildah", "images", "--quiet", "--filter", f"reference={BASE}"):
        make_base()
    name = f"tfx-gan:{target}"
    command = ["buildah", "build", "--pull-never", "--layers", "--target", target, "--tag", name]
    subprocess.run([*command, str(PROJECT)], check=True)
    return name


def layers(image: str) -> Iterator[tuple[str, float, float]]:
    """What made each layer, its size in MB, and that of its archive compressed."""
    with tempfile.TemporaryDirectory() as folder:
        run("buildah", "push", "--quiet", "--format", "oci", image, f"oci:{folder}/image")

        def read(digest: str) -> dict:
            return json.loads(blob(digest).read_bytes())

        def blob(digest: str) -> Path:
            return Path(folder, "image/blobs/sha256", digest.removeprefix("sha256:"))

        index = json.loads(Path(folder, "image/index.json").read_text("utf-8"))
        manifest = read(index["manifests"][0]["digest"])
        made = [
            e for e in read(manifest["config"]["digest"])["history"] if not e.get("empty_layer")
        ]
        for layer, history in zip(manifest["layers"], made, strict=True):
            with gzip.open(blob(layer["digest"])) as archive:
                size = sum(map(len, iter(lambda: archive.read(1 << 24), b"")))
            yield history["created_by"], size / MEGABYTE, layer["size"] / MEGABYTE


def show_layers(image: str) -> None:
    """Prints `layers` and their sums."""
    total = packed = 0.0
    for made, size, archive in layers(image):
        total, packed = total + size, packed + archive
        print(f"{size:7.0f} MB {archive:6.0f} MB gz  {' '.join(made.split())[:80]}")
    print(f"{total:7.0f} MB {packed:6.0f} MB gz  {image}")


def show_largest(container: str) -> None:
    """The packages that make the image as large as it is."""
    folder = Path(run("buildah", "mount", container), "opt/tfx-gan/lib/python3.13/site-packages")
    sizes = {}
    for entry in (*folder.iterdir(), *folder.glob("nvidia/*")):
        if entry.is_dir() and entry.name != "nvidia":
            sizes[entry.name] = sum(f.lstat().st_size for f in entry.rglob("*")) / MEGABYTE
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True)[:LARGEST]:
        print(f"{sizes[name]:7.0f} MB  {name}")
    code = sum(f.stat().st_size for f in folder.rglob("*.pyc")) / MEGABYTE
    print(f"{code:7.0f} MB  of all this is compiled bytecode")


def check_user(container: str) -> None:
    """Refuses an image whose user is root, or can write where it must not."""

    def inside(*command: str) -> str:
        return run("buildah", "run", container, "--", *command)

    user = inside("id", "-u")
    found = inside("sh", "-c", "find / -xdev -type d -writable -prune 2>/dev/null || true")
    writable = {path for path in found.splitlines() if not path.startswith(("/dev", "/proc"))}
    print(f"user {user} writes to {', '.join(sorted(writable))}")
    if user == "0" or writable - WRITABLE:
        sys.exit(f"{container}: user {user} can write to {writable - WRITABLE}")
    print(inside("tfx-gan", "list").splitlines()[0])


def rehearse(container: str) -> None:
    """The pipeline of the digits, every stage as in a pod of this image."""
    data = "/data/digits"
    with tempfile.TemporaryDirectory() as folder:
        volumes = [f"--volume={PROJECT / 'data/digits'}:{data}:ro", f"--volume={folder}:/work"]
        # Root, to give each stage a root file system of its own.
        inside = ["buildah", "run", "--user=0:0", "--workingdir=/work", *volumes, container, "--"]
        claim = "kubeflow.volumes=[{claim: gan, mount: /mnt/gan}]"
        stages = ["tfx-gan", "rehearse", f"{data}/recipe.yaml", "--in-image", data, "--set", claim]
        subprocess.run([*inside, *stages], check=True)


def main() -> None:
    """Builds a target and shows what came of it."""
    # In order with what the programs print.
    sys.stdout.reconfigure(line_buffering=True)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", nargs="?", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--rehearse", action="store_true", help="run the digits' pipeline in it")
    arguments = parser.parse_args()
    install("buildah", "debootstrap")
    image = build(arguments.target)
    show_layers(image)
    # What a rehearsal needs to mount; the image's own user has none of it.
    rights = ["--cap-add=CAP_SYS_ADMIN", "--security-opt=seccomp=unconfined"]
    container = run("buildah", "from", "--pull-never", *rights, image)
    try:
        show_largest(container)
        check_user(container)
        if arguments.rehearse:
            rehearse(container)
    finally:
        run("buildah", "rm", container)


if __name__ == "__main__":
    main()
