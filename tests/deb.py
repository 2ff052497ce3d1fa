"""The package that tools/build-package made, as tests look at it."""

import re
import subprocess


def package(folder):
    """Its file in the folder that it was built into."""
    found, = folder.glob("tallyman_*.deb")
    return found


def field(path, name):
    return subprocess.check_output(["dpkg-deb", "--field", path, name], text=True).strip()


def depended_on(path):
    """The packages that it needs: the first of the choices in each dependency."""
    return [re.match(r"[\w.+-]+", clause.strip())[0]
            for clause in field(path, "Depends").split(",")]
