"""Lists the parts of the program that are not our own: a bill of materials, and the licences.

Usage: components.py sbom VERSION [--static], which writes CycloneDX JSON, or
       components.py copyright, which writes debian/copyright. Run it in the repository, after a build.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

CHECKOUTS = Path(".build/checkouts"), Path(".build-static/checkouts")
# Debian's packages whose libraries the program is linked with, and their licences.
LIBRARIES = {
    "libzstd-dev": "BSD-3-Clause",
    "libxxhash-dev": "BSD-2-Clause",
    "libsimdjson-dev": "Apache-2.0",
    "liblz4-dev": "BSD-2-Clause",
    "librdkafka-dev": "BSD-2-Clause",
    # librdkafka needs it.
    "libssl-dev": "Apache-2.0",
    "zlib1g-dev": "Zlib",
    "libyaml-dev": "MIT",
}
RUNTIMES = {"libc6-dev": "LGPL-2.1-or-later", "libstdc++-12-dev": "GPL-3.0-or-later WITH GCC-exception-3.1"}
LICENCES: dict[str, str] = {}


@dataclass
class Component:
    name: str
    version: str
    licence: str
    package_url: str
    # Whether it is within the program, and not loaded when that starts.
    is_linked_in: bool


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def components(is_static: bool) -> list[Component]:
    found = []
    for pin in json.loads(Path("Package.resolved").read_text())["pins"]:
        name, version = pin["identity"], pin["state"]["version"]
        place = pin["location"].removeprefix("https://").removesuffix(".git")
        licence = LICENCES.get(name, "Apache-2.0 WITH Swift-exception")
        found.append(Component(name, version, licence, f"pkg:swift/{place}@{version}", True))
    swift = re.search(r"Swift version (\S+)", output("swift", "--version"))
    version = swift[1] if swift else "unknown"
    for name in ("swift-stdlib", "swift-corelibs-libdispatch", "swift-corelibs-foundation"):
        url = f"pkg:generic/{name}@{version}"
        found.append(Component(name, version, "Apache-2.0 WITH Swift-exception", url, True))
    for packages, is_linked_in in ((LIBRARIES, is_static), (RUNTIMES, is_static)):
        for package, licence in packages.items():
            form = "${source:Package} ${source:Version}"
            source, version = output("dpkg-query", "-W", "-f", form, package).split()
            url = f"pkg:deb/debian/{source}@{version}?distro=debian-12"
            found.append(Component(source, version, licence, url, is_linked_in))
    return sorted(found, key=lambda component: component.name)


def bill(version: str, is_static: bool) -> dict[str, Any]:
    every = components(is_static)
    identity = json.dumps([version, is_static, [vars(component) for component in every]])
    seconds = int(output("git", "log", "-1", "--format=%ct"))
    moment = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, identity)}",
        "version": 1,
        "metadata": {
            "timestamp": moment,
            "component": {
                "type": "application",
                "bom-ref": "evenkeel",
                "name": "evenkeel",
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [
            {
                "type": "library",
                "bom-ref": component.package_url,
                "name": component.name,
                "version": component.version,
                "purl": component.package_url,
                "licenses": [{"expression": component.licence}],
                "properties": [
                    {
                        "name": "evenkeel:linkage",
                        "value": "static" if component.is_linked_in else "dynamic",
                    }
                ],
            }
            for component in every
        ],
        "dependencies": [
            {"ref": "evenkeel", "dependsOn": [component.package_url for component in every]}
        ],
    }


def copyright_text() -> str:
    """debian/copyright: what is ours, and what is linked in."""
    parts = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: Evenkeel\n",
        "Files: *\nCopyright: the Evenkeel authors\nLicense: Apache-2.0\n",
    ]
    texts = {}
    checkouts = next(folder for folder in CHECKOUTS if folder.is_dir())
    for folder in sorted(checkouts.iterdir()):
        for path in sorted(folder.glob("LICENSE*")):
            text = path.read_text()
            holders = re.findall(r"^\s*(Copyright \(c\).*)$", text, re.MULTILINE)
            name = LICENCES.get(folder.name.lower(), "Apache-2.0 with Swift exception")
            holder = holders[0] if holders else "Apple Inc. and the Swift project authors"
            parts.append(
                f"Files: {folder.name}\nCopyright: {holder}\nLicense: {name}-{folder.name}\n"
                if name == "MIT"
                else f"Files: {folder.name}\nCopyright: {holder}\nLicense: {name}\n"
            )
            if name == "MIT":
                texts[f"{name}-{folder.name}"] = text
    parts.append(
        "License: Apache-2.0\n On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\n"
    )
    parts.append(
        "License: Apache-2.0 with Swift exception\n"
        " On Debian systems the text is in /usr/share/common-licenses/Apache-2.0. As an exception, if you\n"
        " use this software to compile your source code and portions of it are embedded into the binary\n"
        " product as a result, you may redistribute such product without providing attribution.\n"
    )
    for name, text in texts.items():
        lines = "\n".join(f" {line}" if line.strip() else " ." for line in text.strip().splitlines())
        parts.append(f"License: {name}\n{lines}\n")
    return "\n".join(parts)


def main() -> None:
    if sys.argv[1:2] == ["sbom"]:
        print(json.dumps(bill(sys.argv[2], "--static" in sys.argv), indent=2, ensure_ascii=False))
    elif sys.argv[1:] == ["copyright"]:
        print(copyright_text(), end="")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
