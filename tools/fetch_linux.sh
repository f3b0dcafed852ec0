#!/bin/sh
# Fetch the newest Debian cloud kernel of a series without installing it: fetch_linux.sh 6.12 OUTPUT
set -eu
series=$1 output=$2
export DEBIAN_FRONTEND=noninteractive
find_package() {
    apt-cache search --names-only "^linux-image-$series\..*-cloud-amd64-unsigned$" |
        cut -d' ' -f1 | sort -V | tail -n 1
}
package=$(find_package)
if [ -z "$package" ]; then
    apt-get update -qq || true
    package=$(find_package)
fi
if [ -z "$package" ]; then
    echo "fetch_linux.sh: apt knows no linux-image-$series.*-cloud-amd64-unsigned" >&2
    exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(cd "$scratch" && apt-get download -qq "$package" >/dev/null && dpkg-deb -x ./*.deb tree)
cp "$scratch"/tree/boot/vmlinuz-* "$output.new"
mv "$output.new" "$output"
echo "$package" > "$output.package"
echo "Linux: $package"
