#!/usr/bin/env bash
# Builds the OCI layouts beside this script from Debian's own packages.
#
# Two runs give the same bytes: the packages are pinned to a version, every
# time stamp comes from the packages or is fixed, and the tar and gzip bytes
# come from Go's standard library (so another minor version of Go may give
# other gzip bytes; README.md names the one that was used).
#
# The packages are fetched with apt under a private root, from the mirrors that
# this machine's apt already trusts; the machine's dpkg and apt stay as they
# are. When a mirror no longer serves a pinned version, pin the current one,
# update README.md, and commit the new layouts.
#
# Usage: make.sh [FOLDER]     FOLDER defaults to the script's own
set -euo pipefail

busybox=1:1.35.0-4+deb12u1+b1
tzdata=2026b-0+deb12u1
cacerts=20230311+deb12u1
basefiles=12.4+deb12u15 # for the texts of the licences only

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work"/{sources,state/lists/partial,cache/archives/partial,debs,tars}
: >"$work/state/status"
for f in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
  if [ -e "$f" ]; then cp "$f" "$work/sources/"; fi
done
# A one-line list must end in .list to be read from a folder of sources.
if [ -e "$work/sources/sources.list" ]; then mv "$work/sources/sources.list" "$work/sources/main.list"; fi
cat >"$work/apt.conf" <<CONF
Dir::State "$work/state";
Dir::State::status "$work/state/status";
Dir::Cache "$work/cache";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$work/sources";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "";
Acquire::Languages "none";
CONF
export APT_CONFIG=$work/apt.conf
apt-get update -qq
(cd "$work/debs" && apt-get download -qq \
  "busybox-static:amd64=$busybox" "busybox-static:arm64=$busybox" \
  "tzdata=$tzdata" "ca-certificates=$cacerts" "base-files:amd64=$basefiles")
for deb in "$work"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" >"$work/tars/$(dpkg-deb --showformat='${Package}_${Architecture}' -W "$deb").tar"
done

(cd "$here" && go run make/main.go make/layer.go make/layout.go "$work/tars" "$work/layouts")
for l in busybox tools; do
  rm -rf "${out:?}/$l"
  cp -r "$work/layouts/$l" "$out/$l"
done
