#!/usr/bin/env python3
"""Write the initial file system: a cpio archive in the newc format, the same bytes for the same
input whoever builds it: owner root, time 0, members in the order given.

usage: mkinitrd.py OUTPUT [--dir PATH:MODE]... [--file PATH=SOURCE:MODE]... [--link PATH=TARGET]...
                   [--applets-of BUSYBOX [--applets-not NAME]...]
"""
import argparse
import stat
import subprocess

APPLET_DIR = "bin"


class Archive:
    def __init__(self, out):
        self.out = out
        self.ino = 0
        self.names = set()

    def member(self, name, mode, data=b"", nlink=1):
        if name in self.names:
            return
        self.names.add(name)
        self.ino += 1
        self._write(name, mode, data, nlink, self.ino)

    def _write(self, name, mode, data, nlink, ino):
        raw = name.encode() + b"\0"
        fields = [ino, mode, 0, 0, nlink, 0, len(data), 0, 0, 0, 0, len(raw), 0]
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        self._padded(header + raw)
        self._padded(data)

    def _padded(self, raw):
        self.out.write(raw + b"\0" * (-len(raw) % 4))

    def end(self):
        self._write("TRAILER!!!", 0, b"", 1, 0)


def applets(busybox, excluded):
    listed = subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, check=True, text=True)
    return [name for name in sorted(listed.stdout.split()) if name not in excluded]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("--dir", nargs="*", default=[])
    parser.add_argument("--file", nargs="*", default=[])
    parser.add_argument("--link", nargs="*", default=[])
    parser.add_argument("--applets-of")
    parser.add_argument("--applets-not", nargs="*", default=[])
    args = parser.parse_args()

    with open(args.output, "wb") as out:
        archive = Archive(out)
        for item in args.dir:
            path, mode = item.rsplit(":", 1)
            archive.member(path, stat.S_IFDIR | int(mode, 8), nlink=2)
        for item in args.file:
            path, rest = item.split("=", 1)
            source, mode = rest.rsplit(":", 1)
            with open(source, "rb") as file:
                archive.member(path, stat.S_IFREG | int(mode, 8), file.read())
        for item in args.link:
            path, target = item.split("=", 1)
            archive.member(path, stat.S_IFLNK | 0o777, target.encode())
        if args.applets_of:
            for name in applets(args.applets_of, args.applets_not):
                archive.member(f"{APPLET_DIR}/{name}", stat.S_IFLNK | 0o777, b"busybox")
        archive.end()


if __name__ == "__main__":
    main()
