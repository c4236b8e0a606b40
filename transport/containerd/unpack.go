package containerd

import (
	"context"
	"errors"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"

	"bale/bundle/fault"
	"bale/transport"
)

// unpack unpacks an image into the snapshotter, if one was asked for and it has
// something for this machine's platform. The lease of ctx holds the snapshots.
func (s *Sink) unpack(ctx context.Context, img transport.Image) error {
	if s.snapshotter == "" {
		return nil
	}
	id, err := s.imageID(ctx, img)
	if err != nil || id == "" {
		return err
	}
	i := client.NewImageWithPlatform(s.n.api, images.Image{Name: img.Name.String(), Target: bare(img.Root)}, platforms.Default())
	err = i.Unpack(ctx, s.snapshotter)
	if err == nil {
		return nil
	}
	err = s.n.fail(ctx, "unpack "+img.Name.String()+" into "+s.snapshotter, err)
	if errdefs.IsNotFound(err) || errdefs.IsInvalidArgument(err) || errors.Is(err, errdefs.ErrNotImplemented) {
		return fault.WithHint(err, "ctr plugins ls shows the snapshotters that work here; without one, the image is unpacked when it is first run")
	}
	return err
}
