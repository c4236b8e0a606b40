package main

import (
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bale/bundle/fault"
)

// minMisspelt is the length of a word that may be a place misspelt; shorter ones,
// such as docker in docker:27, are names of images.
const minMisspelt = 8

// archiveEnds are how files are called that people give in place of images.
var archiveEnds = []string{".bale", ".tar", ".tgz", ".gz", ".zst"}

// noName refuses what Docker's rules make the name of an image at Docker Hub,
// but nobody can have meant so. docker:// in front says that somebody did.
func noName(arg string) error {
	for _, start := range []string{"./", "../", "/", "~"} {
		if strings.HasPrefix(arg, start) {
			return isPath(arg)
		}
	}
	if slices.ContainsFunc(archiveEnds, func(end string) bool { return strings.HasSuffix(arg, end) }) {
		if fi, err := os.Stat(arg); err == nil && fi.Mode().IsRegular() {
			return isPath(arg)
		}
	}
	word, rest, _ := strings.Cut(arg, ":")
	if strings.ContainsAny(word, "/.") {
		return nil
	}
	names := &cobra.Command{SuggestionsMinimumDistance: 2} // which knows what is near
	for _, p := range places {
		name := strings.TrimRight(p.prefix, ":/")
		if arg == name && p != registryPlace {
			return fault.WithHint(fault.Usage("%q is no image", arg), "if the place is meant, write %s", p.prefix)
		}
		names.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	if near := names.SuggestionsFor(word); len(word) >= minMisspelt && len(near) > 0 {
		return fault.WithHint(fault.Usage("%q is not a place of images", word+":"),
			"write %s:%s; or docker://%s if an image at Docker Hub is meant", near[0], rest, arg)
	}
	return nil
}

func isPath(arg string) error {
	return fault.WithHint(fault.Usage("%q is a path, and the name of no image", arg),
		"say what it is: oci:%[1]s, oci-archive:%[1]s or docker-archive:%[1]s; a bundle is loaded with bale load -i %[1]s", arg)
}

// isHost tells a registry of this machine from the image that Docker's rules make
// of it: localhost:5000 is tag 5000 of localhost.
func isHost(selector string) bool {
	host, _, port := strings.Cut(selector, ":")
	return !strings.ContainsAny(selector, "/@") && (host == "localhost" && port || net.ParseIP(host) != nil)
}
