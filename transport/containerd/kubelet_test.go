package containerd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"bale/transport"
	"bale/transport/parts"
)

// A node whose images were loaded runs a pod that names its image by digest, as
// kubelet asks for it, without any registry.
func TestKubeletRunsWhatWasLoaded(t *testing.T) {
	s := newSet(t)
	s.cmd = []string{"/bin/busybox", "sleep", "3600"}
	pause := s.name("registry.example/pause:1", s.image(host, busybox(t)))
	s.cmd = []string{"/bin/busybox", "echo", "hello"}
	img := s.name("registry.example/team/box:1", s.index(s.image(host, busybox(t)), s.image(other, tarOf(t, "x", nil))))
	p := place{parts.Containerd(t, parts.WithCRI(t, pause.Name.String())), Kubernetes}
	p.load(t, s.Source(), []transport.Image{pause, img}, transport.Options{})
	p.collect(t)

	conn, err := grpc.NewClient("unix://"+p.part.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	images, pods := cri.NewImageServiceClient(conn), cri.NewRuntimeServiceClient(conn)
	byDigest := "registry.example/team/box@" + img.Root.Digest.String()
	id := s.parse(s.parse(img.Root).Manifests[0]).Config.Digest.String()
	for _, name := range []string{"registry.example/team/box:1", byDigest, "registry.example/team/box:1@" + img.Root.Digest.String(), id} {
		res, err := images.ImageStatus(t.Context(), &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
		if err != nil {
			t.Fatal(err)
		}
		got := res.GetImage()
		if got.GetId() != id || !slices.Equal(got.GetRepoTags(), []string{"registry.example/team/box:1"}) || !slices.Equal(got.GetRepoDigests(), []string{byDigest}) {
			t.Errorf("kubelet asks for %s and hears %v", name, got)
		}
	}

	dir := t.TempDir()
	pod := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: "box", Uid: "1", Namespace: "default"}, LogDirectory: dir,
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: hostNamespaces,
		}},
	}
	sandbox, err := pods.RunPodSandbox(t.Context(), &cri.RunPodSandboxRequest{Config: pod})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := pods.StopPodSandbox(t.Context(), &cri.StopPodSandboxRequest{PodSandboxId: sandbox.PodSandboxId}); err != nil {
			t.Error(err)
		}
		if _, err := pods.RemovePodSandbox(t.Context(), &cri.RemovePodSandboxRequest{PodSandboxId: sandbox.PodSandboxId}); err != nil {
			t.Error(err)
		}
	}()
	box, err := pods.CreateContainer(t.Context(), &cri.CreateContainerRequest{
		PodSandboxId: sandbox.PodSandboxId, SandboxConfig: pod,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "box"}, Image: &cri.ImageSpec{Image: byDigest}, LogPath: "box.log",
			Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{
				NamespaceOptions: hostNamespaces,
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pods.StartContainer(t.Context(), &cri.StartContainerRequest{ContainerId: box.ContainerId}); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		res, err := pods.ContainerStatus(t.Context(), &cri.ContainerStatusRequest{ContainerId: box.ContainerId})
		if err != nil {
			t.Fatal(err)
		}
		if res.Status.State == cri.ContainerState_CONTAINER_EXITED {
			if res.Status.ExitCode != 0 {
				t.Errorf("it ended with %d: %s", res.Status.ExitCode, res.Status.Message)
			}
			break
		}
		select {
		case <-t.Context().Done():
			t.Fatal("it did not end")
		case <-tick.C:
		}
	}
	said, err := os.ReadFile(filepath.Join(dir, "box.log"))
	if err != nil || !strings.HasSuffix(string(said), " stdout F hello\n") {
		t.Errorf("it said %q, %v", said, err)
	}
}

// hostNamespaces are the machine's own where a pod would need a network.
var hostNamespaces = &cri.NamespaceOption{Network: cri.NamespaceMode_NODE}
