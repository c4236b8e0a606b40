package docker

import (
	"strings"

	"github.com/moby/moby/api/types/system"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// machines are the names that kernels have for architectures (uname -m), in
// the image-spec's terms (Go's GOARCH). Others are the same in both.
var machines = map[string]v1.Platform{
	"x86_64":      {Architecture: "amd64"},
	"i386":        {Architecture: "386"},
	"i486":        {Architecture: "386"},
	"i586":        {Architecture: "386"},
	"i686":        {Architecture: "386"},
	"aarch64":     {Architecture: "arm64"},
	"armv8l":      {Architecture: "arm", Variant: "v7"}, // 32-bit user on a 64-bit kernel
	"armv7l":      {Architecture: "arm", Variant: "v7"},
	"armhf":       {Architecture: "arm", Variant: "v7"},
	"armv6l":      {Architecture: "arm", Variant: "v6"},
	"armel":       {Architecture: "arm", Variant: "v6"},
	"armv5tel":    {Architecture: "arm", Variant: "v5"},
	"loongarch64": {Architecture: "loong64"},
	"mips64el":    {Architecture: "mips64le"},
}

// platform is what the engine runs.
func platform(info system.Info) v1.Platform {
	arch := strings.ToLower(info.Architecture)
	p, ok := machines[arch]
	if !ok {
		p.Architecture = arch
	}
	p.OS = strings.ToLower(info.OSType)
	return p
}
