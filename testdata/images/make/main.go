//go:build ignore

// Command main assembles bale's test images from unpacked Debian packages:
//
//	main TARS OUT
//
// TARS holds one <package>_<architecture>.tar of each package's files; the
// layouts OUT/busybox and OUT/tools are written. make.sh runs it.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// epoch is the time of everything that no package gives a time to.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: main TARS OUT")
	}
	if err := build(os.Args[1], os.Args[2]); err != nil {
		log.Fatal("make images: ", err)
	}
}

func build(tars, out string) error {
	pkgs := make(map[string]pkg)
	for _, n := range []string{"busybox-static_amd64", "busybox-static_arm64", "tzdata_all", "ca-certificates_all", "base-files_amd64"} {
		p, err := readPackage(filepath.Join(tars, n+".tar"))
		if err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
		pkgs[n] = p
	}
	base := pkgs["base-files_amd64"]
	amd64 := v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64 := v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	busybox := map[string]part{
		"amd64": {"busybox-static", busyboxLayer(pkgs["busybox-static_amd64"], base), true},
		"arm64": {"busybox-static", busyboxLayer(pkgs["busybox-static_arm64"], base), true},
	}
	zones := part{"tzdata", zonesLayer(pkgs["tzdata_all"]), true}
	certs := part{"ca-certificates", certsLayer(pkgs["ca-certificates_all"], base), true}
	change := part{"a user more, a time zone and an applet less", changeLayer(), true}
	rawZones := part{"tzdata", zones.layer, false}

	l, err := newLayout(filepath.Join(out, "busybox"))
	if err != nil {
		return err
	}
	var children []v1.Descriptor
	for _, p := range []v1.Platform{amd64, arm64} {
		children = append(children, l.image(p, busybox[p.Architecture]))
	}
	l.name("docker.io/library/busybox:1.35", l.index(children))
	if err := l.close(); err != nil {
		return err
	}

	if l, err = newLayout(filepath.Join(out, "tools")); err != nil {
		return err
	}
	root := func(parts ...part) v1.Descriptor {
		d := l.image(amd64, parts...)
		d.Platform = nil
		return d
	}
	l.name("docker.io/library/tools:1.0", root(busybox["amd64"], zones, certs, change))
	l.name("docker.io/library/tools:raw", root(busybox["amd64"], rawZones))
	return l.close()
}

// applets are the commands that get a symlink in /bin.
var applets = strings.Fields(`[ ash awk basename cat chmod chown cp cut date dd df
	dirname du echo env expr false find grep gunzip gzip head hostname id kill
	ln ls md5sum mkdir mktemp mount mv nc nslookup ping printf ps pwd readlink
	rm rmdir sed sh sha256sum sleep sort stat tail tar tee test touch tr true
	tty umount uname uniq unzip vi wc wget which xargs xzcat yes zcat`)

func busyboxLayer(busybox, base pkg) layer {
	l := make(layer)
	l.copy(busybox, "bin/busybox", "usr/share/doc/busybox-static/copyright")
	l.copy(base, "usr/share/common-licenses/GPL-2")
	for _, a := range applets {
		l.symlink("bin/"+a, "busybox")
	}
	l.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n")
	l.file("etc/group", "root:x:0:\nnogroup:x:65534:\n")
	l.dir("root", 0o700)
	l.dir("tmp", 0o1777)
	return l
}

func zonesLayer(tzdata pkg) layer {
	l := make(layer)
	l.copy(tzdata, "usr/share/doc/tzdata/copyright", "usr/share/zoneinfo/Etc/UTC", "usr/share/zoneinfo/UTC",
		"usr/share/zoneinfo/iso3166.tab", "usr/share/zoneinfo/zone1970.tab")
	l.copyTree(tzdata, "usr/share/zoneinfo/Europe/")
	l.symlink("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
	l.file("etc/timezone", "Etc/UTC\n")
	return l
}

func certsLayer(certs, base pkg) layer {
	const folder = "usr/share/ca-certificates/mozilla/"
	l := make(layer)
	l.copy(certs, "usr/share/doc/ca-certificates/copyright")
	l.copy(base, "usr/share/common-licenses/MPL-2.0")
	l.copyTree(certs, folder)
	// What update-ca-certificates writes: all of them in one file, by name.
	var all strings.Builder
	for _, n := range certs.under(folder) {
		all.Write(certs[n].data)
	}
	l.file("etc/ssl/certs/ca-certificates.crt", all.String())
	return l
}

func changeLayer() layer {
	l := make(layer)
	l.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\ntools:x:1000:1000::/home/tools:/bin/sh\n")
	l.file("home/tools/.profile", "PS1='tools$ '\n")
	l.hardlink("home/tools/.ashrc", "home/tools/.profile")
	// Files of lower layers are deleted by a whiteout (image-spec, layer.md).
	l.file("etc/.wh.timezone", "")
	l.file("bin/.wh.vi", "")
	return l
}
