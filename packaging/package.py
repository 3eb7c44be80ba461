"""Makes what package managers and Claude Desktop take: npm packages, MCPB bundles, and the manifests
of Homebrew, Scoop and winget. Everything comes from the archives of a release and from Cargo.toml.
See scripts/package.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MCPB = "@anthropic-ai/mcpb@2.1.2"


class Missing(Exception):
    """Something that the person has to set or to bring."""


def package_facts():
    """What Cargo.toml says of the package."""
    command = ["cargo", "metadata", "--no-deps", "--format-version=1", "--locked"]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT))
    return next(package for package in metadata["packages"] if package["name"] == "mcpline")


def archive_of(directory, target):
    """The archive for a target, as cargo-dist names it; None if there is none."""
    ending = "zip" if "windows" in target else "tar.gz"
    file = directory / f"mcpline-{target}.{ending}"
    return file if file.exists() else None


def unpack_program(archive, to):
    """Takes the program out of a release's archive."""
    name = "mcpline.exe" if archive.suffix == ".zip" else "mcpline"
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            member = next(file for file in opened.namelist() if Path(file).name == name)
            data = opened.read(member)
    else:
        with tarfile.open(archive) as opened:
            member = next(file for file in opened if file.isfile() and Path(file.name).name == name)
            data = opened.extractfile(member).read()
    to.mkdir(parents=True, exist_ok=True)
    program = to / name
    program.write_bytes(data)
    program.chmod(0o755)
    return program


class Packager:
    def __init__(self, archives, out, repository):
        self.archives, self.out = archives, out
        self.facts = package_facts()
        self.repository = (repository or self.facts["repository"] or "").rstrip("/")
        self.version = self.facts["version"]
        self.platforms = json.loads((HERE / "targets.json").read_text())

    def fill_in(self, text, **more):
        """Replaces each @NAME@ and @NAME:TARGET@."""

        def value(match):
            name, target = match.group(1), match.group(2)
            if target:
                return self.of_archive(name, target)
            known = {
                "VERSION": self.version,
                "LICENSE": self.facts["license"],
                "DESCRIPTION": self.facts["description"],
                "REPOSITORY": self.repository,
                **more,
            }
            return known[name]

        return re.sub(r"@([A-Z0-9]+)(?::([a-z0-9_-]+))?@", value, text)

    def of_archive(self, name, target):
        archive = archive_of(self.archives, target)
        if archive is None:
            raise Missing(f"the archive for {target} is not in {self.archives}")
        if name == "SHA256":
            return hashlib.sha256(archive.read_bytes()).hexdigest()
        return f"{self.repository}/releases/download/v{self.version}/{archive.name}"

    def programs(self):
        """Each platform for which there is an archive, and its program."""
        for platform in self.platforms:
            targets = [platform["target"], platform.get("or")]
            archives = [archive_of(self.archives, target) for target in targets if target]
            archive = next((archive for archive in archives if archive), None)
            if archive is not None:
                with tempfile.TemporaryDirectory() as directory:
                    yield platform, unpack_program(archive, Path(directory))

    def npm(self):
        """One package with the program for each platform, and one that starts the right one."""
        out = self.out / "npm"
        out.mkdir(parents=True, exist_ok=True)
        common = {"version": self.version, "license": self.facts["license"]}
        if self.repository:
            common["repository"] = {"type": "git", "url": f"git+{self.repository}.git"}
        for platform, program in self.programs():
            name = f"@mcpline/{platform['os']}-{platform['cpu']}"
            description = f"The program of mcpline for {platform['os']} on {platform['cpu']}"
            package = {
                "name": name,
                "description": description,
                **common,
                "os": [platform["os"]],
                "cpu": [platform["cpu"]],
                "files": ["bin"],
                "preferUnplugged": True,
            }
            with tempfile.TemporaryDirectory() as directory:
                folder = Path(directory)
                (folder / "bin").mkdir()
                shutil.copy2(program, folder / "bin" / program.name)
                shutil.copy(ROOT / "LICENSE", folder)
                self.pack(folder, package, out)
        package = {
            "name": "mcpline",
            "description": self.facts["description"],
            "keywords": self.facts["keywords"],
            **common,
            "bin": {"mcpline": "bin/mcpline.js"},
            "files": ["bin"],
            "engines": {"node": ">=18"},
            "optionalDependencies": {
                f"@mcpline/{platform['os']}-{platform['cpu']}": self.version
                for platform in self.platforms
            },
        }
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory) / "package"
            shutil.copytree(HERE / "npm", folder)
            shutil.copy(ROOT / "LICENSE", folder)
            self.pack(folder, package, out)

    @staticmethod
    def pack(folder, package, out):
        (folder / "package.json").write_text(json.dumps(package, indent=2) + "\n")
        command = ["npm", "pack", "--silent", "--ignore-scripts", f"--pack-destination={out}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    def mcpb(self):
        """A bundle for each platform, checked and packed by the official tool."""
        out = self.out / "mcpb"
        out.mkdir(parents=True, exist_ok=True)
        template = (HERE / "mcpb" / "manifest.json").read_text()
        for platform, program in self.programs():
            manifest = self.fill_in(template, PROGRAM=program.name, OS=platform["os"])
            manifest = json.loads(manifest)
            if self.repository:
                manifest["repository"] = {"type": "git", "url": self.repository}
                manifest["homepage"] = self.repository
            with tempfile.TemporaryDirectory() as directory:
                folder = Path(directory)
                (folder / "server").mkdir()
                shutil.copy2(program, folder / "server" / program.name)
                shutil.copy(ROOT / "LICENSE", folder)
                text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
                (folder / "manifest.json").write_text(text, encoding="utf-8")
                tool = ["npm", "exec", "--yes", f"--package={MCPB}", "--", "mcpb"]
                subprocess.run([*tool, "validate", folder], check=True, stdout=subprocess.DEVNULL)
                bundle = out / f"mcpline-{platform['os']}-{platform['cpu']}.mcpb"
                command = [*tool, "pack", folder, bundle]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def manifests(self):
        """What the lists of Homebrew, Scoop and winget take."""
        if not self.repository:
            raise Missing("Cargo.toml has no `repository`, and manifests name addresses in it")
        for manager in ("homebrew", "scoop", "winget"):
            out = self.out / manager
            out.mkdir(parents=True, exist_ok=True)
            for template in sorted((HERE / manager).iterdir()):
                (out / template.name).write_text(self.fill_in(template.read_text()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", type=Path, help="the directory of the archives of a release")
    parser.add_argument("out", type=Path, help="the directory for what is made")
    parser.add_argument("--repository", help="instead of `repository` in Cargo.toml, to rehearse")
    parser.add_argument("--all", action="store_true", help="every platform has to be there")
    arguments = parser.parse_args()
    packager = Packager(arguments.archives.resolve(), arguments.out.resolve(), arguments.repository)
    try:
        if arguments.all:
            for platform in packager.platforms:
                packager.of_archive("SHA256", platform["target"])
        packager.npm()
        packager.mcpb()
        packager.manifests()
    except Missing as why:
        sys.exit(f"package: {why}")


if __name__ == "__main__":
    main()
