package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"bale/bundle/fault"
	"bale/transport/tarfile"
)

// imageList adds the images of files to those of the command line.
func (a *app) imageList(ctx context.Context, args, files []string) ([]string, error) {
	for _, f := range files {
		list, err := a.readList(ctx, f)
		if err != nil {
			return nil, err
		}
		args = append(args, list...)
	}
	if len(args) == 0 {
		return nil, fault.WithHint(fault.Usage("no image was given"), "for example: nginx:1.27, docker-daemon:my/app:1.0, or --images FILE")
	}
	return args, nil
}

// readList reads a list of images, which may come through a pipe: Ctrl-C leaves
// the read behind.
func (a *app) readList(ctx context.Context, path string) ([]string, error) {
	if path == tarfile.Stdin {
		if _, err := a.takeStdin("a list of images"); err != nil {
			return nil, err
		}
	}
	type answer struct {
		list []string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		list, err := a.scanList(path)
		answered <- answer{list, err}
	}()
	select {
	case got := <-answered:
		return got.list, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *app) scanList(path string) ([]string, error) {
	in := a.in
	if path != tarfile.Stdin {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault.Missing("list of images %s: %w", path, fs.ErrNotExist)
		}
		if err != nil {
			return nil, fmt.Errorf("read list of images: %w", err)
		}
		defer func() { _ = f.Close() }() // only read from
		in = f
	}
	var list []string
	lines := bufio.NewScanner(in)
	n := 0
	for lines.Scan() {
		n++
		// Editors on Windows begin a file with a byte order mark.
		line, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read list of images %s, line %d: %w", path, n+1, err)
	}
	return list, nil
}
